/**
 * The control plane on a real API server: how soon a changed EndpointSlice is at all sidecars, beside a bare watch
 * of the same API server by which it can be told whose delay it is; what memory it takes, and how soon it is ready.
 *
 *   npm run bench:kubernetes -- [--services 1000] [--endpoints 10] [--pods 10000] [--streams 200] [--changes 200] [--runs 3]
 *
 * Needs Linux and the API server that the tests have: npm exec -- node test/cluster/binaries.ts
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { privateBytes } from '../sidecar/memory.ts';
import { type Delays, measureChanges } from './changes.ts';
import { Cluster } from './cluster.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    endpoints: { type: 'string', default: '10' },
    pods: { type: 'string', default: '10000' },
    streams: { type: 'string', default: '200' },
    changes: { type: 'string', default: '200' },
    runs: { type: 'string', default: '3' },
  },
});
const size = { services: Number(values.services), endpointsPerService: Number(values.endpoints) };
const [pods, streams, changes, runs] = [values.pods, values.streams, values.changes, values.runs].map(
  Number,
) as [number, number, number, number];

/** After this long what start-up left behind has been collected. */
const SETTLE_MS = 10_000;

interface Started {
  readonly readySeconds: number;
  readonly privateMegabytes: number;
  readonly peakMegabytes: number;
}

const cluster = await Cluster.start();
try {
  await measured(() => Promise.resolve()); // Unmeasured, as in an image that was built with a warm compile cache.
  const empty = await startedTimes();
  await cluster.write(size, pods);
  const full = await startedTimes();
  const controlPlane = await cluster.startControlPlane();
  try {
    const { xdsPort } = controlPlane;
    const { kubeconfig } = cluster.server;
    report(empty, full, await measureChanges({ size, streams, changes, xdsPort, kubeconfig }));
  } finally {
    await controlPlane.stop();
  }
} finally {
  await cluster.stop();
}

async function startedTimes(): Promise<readonly Started[]> {
  const all: Started[] = [];
  for (let run = 0; run < runs; run += 1) all.push(await measured(() => sleep(SETTLE_MS)));
  return all;
}

async function measured(settle: () => Promise<void>): Promise<Started> {
  const controlPlane = await cluster.startControlPlane();
  await settle();
  const { pid, readySeconds } = controlPlane;
  const privateMegabytes = privateBytes(readFileSync(`/proc/${pid}/smaps`, 'utf8')) / 1e6;
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const peakMegabytes = (Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / 1e6;
  await controlPlane.stop();
  return { readySeconds, privateMegabytes, peakMegabytes };
}

function report(empty: readonly Started[], full: readonly Started[], delays: Delays): void {
  const [model] = cpus();
  console.log(
    `${size.services} Services with ${size.endpointsPerService} endpoints each, ${pods} pods; medians of ${runs} runs (lowest – highest)`,
  );
  const started = [
    { cluster: 'empty', ...summary(empty) },
    { cluster: 'full', ...summary(full) },
  ];
  console.table(started);
  console.log(
    `${changes} changes of one EndpointSlice, ${streams} streams; milliseconds since it was sent off`,
  );
  const changed = [
    { until: 'a bare watch of the API server has it', ...percentiles(delays.bareWatch) },
    { until: 'the last stream has it', ...percentiles(delays.lastStream) },
    { until: 'from the one to the other', ...percentiles(delays.between) },
  ];
  console.table(changed);
  const { version: node } = process;
  console.log(JSON.stringify({ bench: 'kubernetes', ...values, node, cpu: model?.model, started, changed }));
}

function percentiles(sorted: readonly number[]): Record<string, number> {
  const at = (share: number): number =>
    Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]! * 10) / 10;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

function summary(all: readonly Started[]): Record<string, string> {
  const show = (of: (one: Started) => number, digits: number): string => {
    const sorted = all.map(of).toSorted((a, b) => a - b);
    const number = (index: number): string => sorted[index]!.toFixed(digits);
    return `${number(Math.floor(sorted.length / 2))} (${number(0)} – ${number(sorted.length - 1)})`;
  };
  return {
    'ready, s': show(({ readySeconds }) => readySeconds, 2),
    'private memory, MB': show(({ privateMegabytes }) => privateMegabytes, 1),
    'peak RSS, MB': show(({ peakMegabytes }) => peakMegabytes, 1),
  };
}
