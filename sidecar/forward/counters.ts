import { CONNECT_FAILURES, type ConnectFailure, ENDINGS, type Ending } from './outcome.ts';

/** Plain numbers of one Service: what the hot path may afford. Exposed by `metrics.ts` when scraped. */
export class ServiceCounters {
  opened = 0;
  /** To the address that was asked for, because nobody told the endpoints of the Service behind it. */
  passedThrough = 0;
  /** Of ended connections; those still open know their own. */
  sentBytes = 0;
  receivedBytes = 0;
  readonly closed = zeroes<Ending>(ENDINGS);
  readonly connectFailures = zeroes<ConnectFailure>(CONNECT_FAILURES);
}

/** Seconds; a connect within the same machine, zone, region, across the world, and after one to three lost SYNs. */
const BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** A histogram of how long successful connects took. */
export class ConnectTimes {
  readonly bounds: readonly number[] = BOUNDS;
  /** Not cumulative; the last one is for what is above all bounds. */
  readonly counts: number[] = Array.from({ length: BOUNDS.length + 1 }, () => 0);
  sumSeconds = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}

function zeroes<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
