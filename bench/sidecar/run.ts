/**
 * How soon a sidecar is ready and what memory it takes, in a mesh of many Services of which it uses a few.
 * A bare Node process with the same libraries loaded stands beside it as the floor.
 *
 *   npm run bench:sidecar -- [--services 1000] [--used 10] [--runs 5]
 *
 * Needs Linux (memory is read from /proc).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { claimPort } from '../../test/system/programs.ts';
import { SIDECAR_ENVIRONMENT, SIDECAR_FLAGS } from '../sidecar-command.ts';
import { privateBytes } from './memory.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    used: { type: 'string', default: '10' },
    runs: { type: 'string', default: '5' },
  },
});
const services = Number(values.services);
const used = Number(values.used);
const runs = Number(values.runs);
/** After this long what start-up left behind has been collected. */
const SETTLE_MS = 5_000;

interface Measurement {
  readonly readySeconds: number;
  readonly privateMegabytes: number;
}

const folder = mkdtempSync(join(tmpdir(), 'cortexflow-bench-'));
const children: ChildProcess[] = [];
try {
  writeFileSync(join(folder, 'mesh.yaml'), meshYaml());
  const [xds, admin] = [await claimPort(), await claimPort()];
  run(['control-plane/main.ts'], {
    CORTEXFLOW_DIRECTORY: folder,
    CORTEXFLOW_XDS_ADDRESS: `127.0.0.1:${xds}`,
    CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: `127.0.0.1:${admin}`,
  });
  await ready(admin);
  const sidecars: Measurement[] = [];
  const floors: Measurement[] = [];
  // Once unmeasured, as in an image that was built with a warm compile cache.
  await measure('sidecar/main.ts', xds);
  await measure('bench/sidecar/floor.ts', xds);
  for (let count = 0; count < runs; count += 1) {
    sidecars.push(await measure('sidecar/main.ts', xds));
    floors.push(await measure('bench/sidecar/floor.ts', xds));
  }
  report(sidecars, floors);
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}

function meshYaml(): string {
  return Array.from({ length: services }, (_, index) => {
    const name = `service-${index}`;
    const endpoints = Array.from(
      { length: 10 },
      (_each, host) => `{addresses: [10.${index >> 8}.${index & 255}.${host + 1}]}`,
    );
    return [
      `{apiVersion: v1, kind: Service, metadata: {name: ${name}, namespace: demo}, spec: {ports: [{name: http, port: 80}]}}`,
      `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}-a, namespace: demo, labels: {kubernetes.io/service-name: ${name}}}, addressType: IPv4, ports: [{name: http, port: 80}], endpoints: [${endpoints.join(', ')}]}`,
    ].join('\n---\n');
  }).join('\n---\n');
}

function run(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...SIDECAR_ENVIRONMENT, CORTEXFLOW_LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  children.push(child);
  return child;
}

async function ready(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function measure(program: string, xds: number): Promise<Measurement> {
  const port = await claimPort();
  const begun = performance.now();
  const child = run([...SIDECAR_FLAGS, program], {
    CORTEXFLOW_CONTROL_PLANE: `127.0.0.1:${xds}`,
    CORTEXFLOW_ADMIN_ADDRESS: `127.0.0.1:${port}`,
    CORTEXFLOW_UPSTREAMS: Array.from(
      { length: used },
      (_, index) => `127.0.0.1:0=service-${index}.demo:80`,
    ).join(','),
  });
  await ready(port);
  const readySeconds = (performance.now() - begun) / 1_000;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const privateMegabytes = privateBytes(readFileSync(`/proc/${child.pid}/smaps`, 'utf8')) / 1e6;
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { readySeconds, privateMegabytes };
}

function report(sidecars: readonly Measurement[], floors: readonly Measurement[]): void {
  const rows = [
    { name: 'sidecar', ...summary(sidecars) },
    { name: 'floor: Node with the same libraries', ...summary(floors) },
  ];
  const [model] = cpus();
  console.log(
    `${services} Services in the mesh, ${used} in use; medians of ${runs} interleaved runs (lowest – highest)`,
  );
  console.table(rows);
  console.log(
    JSON.stringify({
      bench: 'sidecar',
      services,
      used,
      runs,
      node: process.version,
      cpu: model?.model,
      rows,
    }),
  );
}

function summary(all: readonly Measurement[]): Record<string, string> {
  return {
    'ready, s': show(
      all.map(({ readySeconds }) => readySeconds),
      2,
    ),
    'private memory, MB': show(
      all.map(({ privateMegabytes }) => privateMegabytes),
      1,
    ),
  };
}

/** Median, lowest and highest. */
function show(numbers: readonly number[], digits: number): string {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (index: number): string => (sorted[index] ?? Number.NaN).toFixed(digits);
  return `${at(Math.floor(sorted.length / 2))} (${at(0)} – ${at(sorted.length - 1)})`;
}
