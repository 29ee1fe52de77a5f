import { withServer } from './bench.ts';
import type { Bench } from './bench.ts';
import type { Contestant } from './contestants.ts';
import { changes } from './measure.ts';
import type { MeshContent } from './mesh.ts';
import type { Options } from './options.ts';
import type { Usage } from './server-process.ts';

/** Streams that each name many collections of Endpoints, or resources where the server has no collections. */
export interface NamedResult {
  /** All streams name the same. */
  readonly same: NamesResult;
  /** Each stream names half of what there is, at random. */
  readonly sampled: NamesResult;
}

export interface NamesResult {
  /** Until all streams have all that they name. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssBytesPerStream: number;
  /** From a change to the last stream having it, in milliseconds, sorted. */
  readonly latencies: readonly number[];
  readonly cpuMicrosPerPush: number;
  readonly reconnect: {
    /** Until the server has nothing left to do. */
    readonly seconds: number;
    readonly cpuSeconds: number;
    readonly resourceBytes: number;
  };
  readonly refusals: readonly string[];
  readonly lost: number;
}

/** The content has twice as many Services as each stream names. */
export async function measureNamed(
  contestant: Contestant,
  content: MeshContent,
  options: Options,
): Promise<NamedResult> {
  const { names } = options;
  const named = (count: number) => Array.from({ length: count }, (_, n) => contestant.endpointsOf(n));
  const measured = (endpoints: readonly string[], sample: number) =>
    withServer(contestant, content, options, (bench) => measureNames(bench, options, { endpoints, sample }));
  return { same: await measured(named(names), 0), sampled: await measured(named(2 * names), names) };
}

async function measureNames(
  bench: Bench,
  options: Options,
  names: { readonly endpoints: readonly string[]; readonly sample: number },
): Promise<NamesResult> {
  const { server, load } = bench;
  const request = { ...bench.request, ...names, services: 0 };
  const before = await bench.settledUsage();
  const { seconds } = await load.connect(request);
  const connected = await bench.quiet();
  const settled = await bench.settledUsage();
  const { refusals } = await load.received();

  const { latencies, cpuMicrosPerPush } = await changes(bench, options, options.changes);
  await load.disconnect();
  await bench.quiet();
  await load.learn({ ...request, sample: 0 });
  await bench.quiet();

  const idle = await server.ask<Usage>('usage');
  const accepted = await load.connect({ ...request, resume: true });
  const from = performance.now() - accepted.seconds * 1e3;
  const resumed = await bench.quiet();
  const { resourceBytes, refusals: later, lost } = await load.received();
  // Shows that all are subscribed as before; a stream that is not would be waited for in vain.
  await changes(bench, options, 1);
  return {
    seconds,
    cpuSeconds: (connected.cpuMicros - before.cpuMicros) / 1e6,
    rssBytesPerStream: (settled.rssBytes - before.rssBytes) / options.streams,
    latencies,
    cpuMicrosPerPush,
    reconnect: {
      seconds: (resumed.at - from) / 1e3,
      cpuSeconds: (resumed.cpuMicros - idle.cpuMicros) / 1e6,
      resourceBytes,
    },
    refusals: [...refusals, ...later],
    lost,
  };
}
