import { rcodeName, typeName } from './protocol.ts';

/**
 * Who knew the answer: the table; the cache of what was forwarded, within its time or past it; a server that was
 * asked; or the sidecar itself, where nobody did.
 */
export type AnsweredBy = 'table' | 'cache' | 'stale' | 'upstream' | 'sidecar';

/** Requests that had the same outcome: a plain number, to be kept by whoever counts often. */
export interface Count {
  readonly type: string;
  readonly answeredBy: AnsweredBy;
  readonly rcode: string;
  value: number;
}

/** Seconds: from what is answered between two ticks to what a resolver gives up on. */
const BOUNDS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
  0.5, 1, 2.5, 5,
];

/** How long answers took, from when their question was received. */
export class ResponseTimes {
  readonly bounds: readonly number[] = BOUNDS;
  /** Not cumulative; the last one is for what is above all bounds. */
  readonly counts: number[] = Array.from({ length: BOUNDS.length + 1 }, () => 0);
  sumSeconds = 0;

  /** So many answers took so long each. */
  observe(seconds: number, answers: number): void {
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + answers;
    this.sumSeconds += seconds * answers;
  }
}

/** Totals since the start; `metrics.ts` exposes them when scraped. */
export class DnsCounters {
  readonly times = new ResponseTimes();
  /** Datagrams and messages to which nobody may answer. */
  ignored = 0;
  /** Questions turned away because too many others wait. */
  refused = 0;
  /** Answers of servers that were not asked that, and answers that nobody waits for any more. */
  mismatched = 0;
  /** Times that a question was put to a server again, the same or another. */
  retries = 0;
  readonly #requests = new Map<string, Count>();

  get requests(): Iterable<Count> {
    return this.#requests.values();
  }

  of(type: number, answeredBy: AnsweredBy, rcode: number): Count {
    const labels = { type: typeName(type), answeredBy, rcode: rcodeName(rcode) };
    const key = `${labels.type} ${answeredBy} ${labels.rcode}`;
    const known = this.#requests.get(key);
    if (known !== undefined) return known;
    const count: Count = { ...labels, value: 0 };
    this.#requests.set(key, count);
    return count;
  }
}
