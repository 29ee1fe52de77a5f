import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from './contestants.ts';
import { LoadGroup } from './load-group.ts';
import { withServer } from './bench.ts';
import type { Bench } from './bench.ts';
import type { MeshContent } from './mesh.ts';
import { marker, meshChange } from './mesh.ts';
import type { Options } from './options.ts';
import type { Usage } from './server-process.ts';

/** One phase of changes, each waited for by all streams that read at full pace. */
export interface PushResult {
  /** From the change to the last stream having it, in milliseconds, sorted. */
  readonly latencies: readonly number[];
  /** Server CPU for each push, its ACK included. */
  readonly cpuMicrosPerPush: number;
  readonly loadCpuMicrosPerPush: number;
}

export interface RunResult {
  readonly push: PushResult;
  /** The same with a stopped and a slow reader beside. */
  readonly disturbed: PushResult;
  readonly rssBytesPerStream: number;
  readonly storm: {
    readonly seconds: number;
    readonly refusals: readonly string[];
    readonly peakRssBytes: number;
    readonly cpuSeconds: number;
  };
  readonly reconnect: {
    readonly resources: number;
    readonly resourceBytes: number;
    readonly refusals: readonly string[];
    readonly cpuSeconds: number;
  };
  readonly lost: number;
}

/** All measurements of one server once. */
export async function measureOnce(
  contestant: Contestant,
  content: MeshContent,
  options: Options,
): Promise<RunResult> {
  const storm = await withServer(contestant, content, options, measureStorm);
  const steady = await withServer(contestant, content, options, (bench) => measureSteady(bench, options));
  return { ...steady, storm };
}

async function measureSteady(bench: Bench, options: Options): Promise<Omit<RunResult, 'storm'>> {
  const { server, load } = bench;
  const request = bench.request;
  const rssBefore = (await bench.settledUsage()).rssBytes;
  await load.connect(request);
  const rssAfter = (await bench.settledUsage()).rssBytes;

  await changes(bench, options, Math.ceil(options.changes / 10)); // warm-up
  const push = await changes(bench, options, options.changes);

  const disturbers = [new LoadGroup(1), new LoadGroup(1)] as const;
  await disturbers[0].connect({ ...request, streams: 1, pace: 'stopped' });
  await disturbers[1].connect({ ...request, streams: 1, pace: 'slow', services: 0 });
  const disturbed = await changes(bench, options, options.changes);
  const { lost } = await load.received();
  await Promise.all(disturbers.map((disturber) => disturber.stop()));
  await load.disconnect();
  await bench.quiet();

  await load.learn(request);
  await bench.quiet();
  const before = await server.ask<Usage>('usage');
  await load.connect({ ...request, resume: true });
  const after = await bench.quiet();
  const { resources, resourceBytes, refusals } = await load.received();
  // Shows that all are subscribed as before; a stream that is not would be waited for in vain.
  await changes(bench, options, 1);
  return {
    push,
    disturbed,
    rssBytesPerStream: (rssAfter - rssBefore) / options.streams,
    reconnect: { resources, resourceBytes, refusals, cpuSeconds: (after.cpuMicros - before.cpuMicros) / 1e6 },
    lost,
  };
}

async function measureStorm(bench: Bench): Promise<RunResult['storm']> {
  const before = await bench.settledUsage();
  const { seconds } = await bench.load.connect({ ...bench.request, endpoints: [] });
  const after = await bench.quiet();
  const { refusals } = await bench.load.received();
  return {
    seconds,
    refusals,
    peakRssBytes: after.peakRssBytes,
    cpuSeconds: (after.cpuMicros - before.cpuMicros) / 1e6,
  };
}

export async function changes(bench: Bench, options: Options, count: number): Promise<PushResult> {
  const { server, load } = bench;
  const latencies: number[] = [];
  const serverBefore = await bench.quiet();
  const loadBefore = await load.cpuMicros();
  for (let i = 0; i < count; i += 1) {
    const n = (bench.change += 1);
    const change = meshChange(n, options.size);
    await load.arm(marker(n));
    const landed = load.landed();
    const { at } = await server.ask<{ at: string }>('change', change);
    latencies.push(Number((await landed) - BigInt(at)) / 1e6);
    await sleep(options.pause);
  }
  const serverAfter = await bench.quiet();
  const pushes = count * options.streams;
  return {
    latencies: latencies.toSorted((a, b) => a - b),
    cpuMicrosPerPush: (serverAfter.cpuMicros - serverBefore.cpuMicros) / pushes,
    loadCpuMicrosPerPush: ((await load.cpuMicros()) - loadBefore) / pushes,
  };
}
