/**
 * Compares the sidecar's DNS proxy with CoreDNS and dnsmasq: one thread each, pinned to one core; dnsperf and the
 * server that is asked for more on the other. Rounds are interleaved, medians reported, and ratios are what counts.
 *
 *   npm run bench:dns -- [--rounds 5] [--seconds 3] [--workloads table,kept,forwarded] [--peers cortexflow,coredns]
 *
 * Needs Linux with two cores, taskset, dnsperf, and CoreDNS as `npm run cluster` builds it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { claimPort } from '../../test/system/programs.ts';
import { dig } from '../../test/dns/dig.ts';
import { SIDECAR_ENVIRONMENT } from '../sidecar-command.ts';
import {
  clusterIp,
  type Peer,
  peers,
  serviceName,
  SERVICES,
  type Setting,
  upstreamCommand,
} from './peers.ts';

const SERVER_CORE = '0';
const LOAD_CORE = '1';
const WORKLOADS = ['table', 'kept', 'forwarded'] as const;
type Workload = (typeof WORKLOADS)[number];

/** Names outside of the cluster that are kept; and so many that none is asked for twice. */
const KEPT_NAMES = 1_000;
const NEW_NAMES = 500_000;
/** At a rate that all of them reach, each answer's time is written down. */
const LATENCY_RATE = 10_000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    workloads: { type: 'string', default: WORKLOADS.join(',') },
    peers: { type: 'string' },
  },
});

interface Sample {
  readonly rate: number;
  readonly lost: number;
  readonly p99Ms: number;
}

const directory = mkdtempSync(join(tmpdir(), 'cortexflow-bench-dns-'));
const children: ChildProcess[] = [];

function run(
  core: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn('taskset', ['-c', core, ...command], {
    env: { ...process.env, ...SIDECAR_ENVIRONMENT, CORTEXFLOW_LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

/** How a client asks for them: in dnsperf's form. New names are other ones in each run. */
let generation = 0;
function questions(workload: Workload): string {
  generation++;
  const path = join(directory, workload);
  const count = { table: SERVICES, kept: KEPT_NAMES, forwarded: NEW_NAMES }[workload];
  const name = {
    table: serviceName,
    kept: (index: number) => `kept-${index}.example.com`,
    forwarded: (index: number) => `n${generation}-${index}.example.com`,
  }[workload];
  writeFileSync(path, Array.from({ length: count }, (_, index) => `${name(index)} A\n`).join(''));
  return path;
}

function dnsperf(port: number, file: string, ...more: readonly string[]): string {
  const command = ['-c', LOAD_CORE, 'dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', file, ...more];
  return execFileSync('taskset', command, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

function numberIn(text: string, label: string): number {
  return Number(new RegExp(`${label}:\\s+([\\d.]+)`, 'u').exec(text)?.[1] ?? Number.NaN);
}

function measure(port: number, workload: Workload): Sample {
  const busy = dnsperf(port, questions(workload), '-l', values.seconds, '-c', '16', '-q', '200');
  const each = dnsperf(port, questions(workload), '-l', '1', '-Q', String(LATENCY_RATE), '-v');
  const times = [...each.matchAll(/^> \w+ \S+ \w+ ([\d.]+)$/gmu)].map(([, seconds]) => Number(seconds));
  times.sort((a, b) => a - b);
  return {
    rate: numberIn(busy, 'Queries per second'),
    lost: numberIn(busy, 'Queries lost') + numberIn(each, 'Queries lost'),
    p99Ms: (times[Math.floor(times.length * 0.99)] ?? Number.NaN) * 1000,
  };
}

async function startPeer(peer: Peer, setting: Setting): Promise<ChildProcess> {
  const child = run(SERVER_CORE, peer.command(setting), peer.environment(setting));
  const last = serviceName(SERVICES - 1);
  for (;;) {
    const answer = await dig(setting.port, last).catch(() => undefined);
    if (answer?.answer.length === 1) break;
    if (child.exitCode !== null) throw new Error(`${peer.name} ended`);
    await delay(50);
  }
  // Compilers done, buffers allocated, and what is kept is there.
  for (const workload of WORKLOADS) dnsperf(setting.port, questions(workload), '-l', '1');
  return child;
}

function residentMb({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1]) / 1024;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

async function startControlPlane(): Promise<string> {
  const services = Array.from({ length: SERVICES }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `web-${index}`, namespace: 'demo' },
    spec: { clusterIP: clusterIp(index), ports: [{ name: 'http', port: 80 }] },
  }));
  const folder = mkdtempSync(join(directory, 'mesh-'));
  writeFileSync(
    join(folder, 'mesh.yaml'),
    services.map((service) => JSON.stringify(service)).join('\n---\n'),
  );
  const address = `127.0.0.1:${await claimPort()}`;
  run(LOAD_CORE, [process.execPath, 'control-plane/main.ts'], {
    CORTEXFLOW_DIRECTORY: folder,
    CORTEXFLOW_XDS_ADDRESS: address,
    CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
  });
  return address;
}

async function compare(): Promise<void> {
  const wanted = values.peers?.split(',');
  const all = peers().filter(({ name }) => wanted?.includes(name) ?? true);
  for (const { name, missing } of all)
    if (missing !== undefined) console.log(`${name} is missing: ${missing}`);
  const present = all.filter(({ missing }) => missing === undefined);
  const workloads = WORKLOADS.filter((workload) => values.workloads.split(',').includes(workload));
  const hosts = join(directory, 'hosts');
  writeFileSync(
    hosts,
    Array.from({ length: SERVICES }, (_, index) => `${clusterIp(index)} ${serviceName(index)}\n`).join(''),
  );
  const upstream = await claimPort();
  run(LOAD_CORE, upstreamCommand(upstream, directory), { GOMAXPROCS: '1' });
  const controlPlane = await startControlPlane();
  const running = [];
  for (const peer of present) {
    const setting: Setting = { port: await claimPort(), upstream, hosts, controlPlane, directory };
    running.push({ peer, port: setting.port, process: await startPeer(peer, setting) });
  }
  const results = [];
  for (const workload of workloads) {
    const samples = new Map<string, Sample[]>(running.map(({ peer }) => [peer.name, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const { peer, port } of running) samples.get(peer.name)?.push(measure(port, workload));
    }
    const coreDns = median((samples.get('coredns') ?? []).map(({ rate }) => rate));
    for (const { peer, process: child } of running) {
      const own = samples.get(peer.name) ?? [];
      const rate = median(own.map((sample) => sample.rate));
      results.push({
        workload,
        peer: peer.name,
        'queries/s': Math.round(rate),
        '÷ CoreDNS': Number((rate / coreDns).toFixed(2)),
        'p99 ms': Number(median(own.map(({ p99Ms }) => p99Ms)).toFixed(3)),
        lost: own.reduce((sum, { lost }) => sum + lost, 0),
        'RSS MB': Math.round(residentMb(child)),
      });
    }
  }
  console.table(results);
  console.log(JSON.stringify({ load: loadavg(), results }));
}

try {
  await compare();
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
