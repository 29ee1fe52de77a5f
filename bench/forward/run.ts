/**
 * Compares the forwarder with HAProxy, nginx and Envoy: one thread each, pinned to one core; backends and load
 * generators on the other. Rounds are interleaved, medians reported, and ratios are what counts: absolute
 * numbers belong to the machine.
 *
 *   npm run bench:forward -- [--rounds 5] [--seconds 2] [--workloads bulk,kept,connect] [--peers cortexflow,envoy]
 *
 * Needs Linux with two cores, taskset and a C compiler (cc); peers that are missing are named with the command
 * that installs them.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuSeconds, onCore, type Peer, peers, type Ports, WORKLOADS, type Workload } from './peers.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CONNECTIONS: Readonly<Record<Workload, number>> = { bulk: 4, kept: 64, connect: 64 };
const UNIT: Readonly<Record<Workload, string>> = {
  bulk: 'GB/s',
  kept: '1000 round trips/s',
  connect: '1000 connections/s',
};
const DIVISOR: Readonly<Record<Workload, number>> = { bulk: 1e9, kept: 1e3, connect: 1e3 };
const SETTLE_MS = 100;
/** Every proxy is in its steady state before anything counts: compilers done, buffers allocated. */
const WARM_UP_SECONDS = '1';

interface Sample {
  readonly rate: number;
  /** Units for each CPU second that the proxy spent: the same question with less of the machine's noise. */
  readonly ratePerCpu: number;
}

interface Running {
  readonly peer: Peer;
  readonly process: ChildProcess;
  readonly ports: Ports;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    workloads: { type: 'string', default: WORKLOADS.join(',') },
    peers: { type: 'string' },
  },
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function freePorts(): Promise<Ports> {
  return { bulk: await freePort(), kept: await freePort(), connect: await freePort() };
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isUp) return;
    await delay(50);
  }
  throw new Error(`Nothing listens on port ${port} after ten seconds.`);
}

function compile(directory: string): string {
  const binary = join(directory, 'peer');
  execFileSync('cc', ['-O2', '-o', binary, join(import.meta.dirname, 'peer.c')], { stdio: 'inherit' });
  return binary;
}

async function load(binary: string, workload: Workload, port: number, seconds: string): Promise<number> {
  const args = ['load', workload, String(port), String(CONNECTIONS[workload]), seconds];
  const generator = onCore(LOAD_CORE, [binary, ...args]);
  let output = '';
  generator.stdout?.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(generator, 'close')) as [number];
  if (code !== 0) throw new Error(`The load generator failed in ${workload} on port ${port}.`);
  return Number(output);
}

async function measure(binary: string, workload: Workload, { process, ports }: Running): Promise<Sample> {
  const pid = process.pid ?? 0;
  const before = cpuSeconds(pid);
  const rate = await load(binary, workload, ports[workload], values.seconds);
  const spent = cpuSeconds(pid) - before;
  await delay(SETTLE_MS);
  return { rate, ratePerCpu: (rate * Number(values.seconds)) / spent };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

interface Row {
  readonly workload: Workload;
  readonly peer: string;
  readonly rate: number;
  readonly lowest: number;
  readonly highest: number;
  readonly ratePerCpu: number;
}

function summarise(workload: Workload, peer: string, samples: readonly Sample[]): Row {
  const rates = samples.map(({ rate }) => rate);
  return {
    workload,
    peer,
    rate: median(rates),
    lowest: Math.min(...rates),
    highest: Math.max(...rates),
    ratePerCpu: median(samples.map(({ ratePerCpu }) => ratePerCpu)),
  };
}

function ratio(ours: number | undefined, theirs: number): string {
  return (ours === undefined ? '' : (ours / theirs).toFixed(2)).padStart(9);
}

function print(workload: Workload, rows: readonly Row[]): void {
  const ours = rows.find(({ peer }) => peer === 'cortexflow');
  const shown = (value: number): string => (value / DIVISOR[workload]).toFixed(2).padStart(9);
  console.log(`\n${workload}, ${CONNECTIONS[workload]} connections, in ${UNIT[workload]}`);
  console.log(`${''.padEnd(16)}   median   lowest  highest   per CPU s   cortexflow is: by rate, by CPU`);
  for (const row of rows) {
    const numbers = [row.rate, row.lowest, row.highest].map(shown).join('');
    const ratios = ratio(ours?.rate, row.rate) + ratio(ours?.ratePerCpu, row.ratePerCpu);
    console.log(`${row.peer.padEnd(16)}${numbers}   ${shown(row.ratePerCpu)}           ${ratios}`);
  }
}

async function start(directory: string, backends: Ports, present: readonly Peer[]): Promise<Running[]> {
  const running: Running[] = [];
  for (const peer of present) {
    const ports = await freePorts();
    const process = onCore(PROXY_CORE, peer.command(ports, backends, directory));
    running.push({ peer, process, ports });
    await Promise.all(WORKLOADS.map((workload) => listening(ports[workload])));
  }
  return running;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}

async function compare(binary: string, running: readonly Running[]): Promise<readonly Row[]> {
  const workloads = WORKLOADS.filter((workload) => values.workloads.split(',').includes(workload));
  const samples = new Map<string, Sample[]>();
  // One workload after another, connections last, so that the tens of thousands that it leaves in TIME_WAIT
  // are in nobody's way.
  for (const workload of workloads) {
    for (const { ports } of running) await load(binary, workload, ports[workload], WARM_UP_SECONDS);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const proxy of running) {
        const key = `${workload} ${proxy.peer.name}`;
        const list = samples.get(key) ?? [];
        samples.set(key, list);
        list.push(await measure(binary, workload, proxy));
      }
    }
  }
  return workloads.flatMap((workload) => {
    const rows = running.map(({ peer }) =>
      summarise(workload, peer.name, samples.get(`${workload} ${peer.name}`) ?? []),
    );
    print(workload, rows);
    return rows;
  });
}

async function main(): Promise<void> {
  const wanted = values.peers?.split(',');
  const chosen = peers().filter(({ name }) => wanted === undefined || wanted.includes(name));
  for (const { name, missing } of chosen) {
    if (missing !== undefined) console.log(`Without ${name}, which is not installed: ${missing}`);
  }
  const present = chosen.filter(({ missing }) => missing === undefined);
  for (const { name, version } of present) console.log(`${name.padEnd(16)}${version()}`);
  console.log(`load average before: ${loadavg()[0]?.toFixed(2)}`);

  const directory = mkdtempSync(join(tmpdir(), 'cortexflow-bench-'));
  const children: ChildProcess[] = [];
  try {
    const binary = compile(directory);
    const backends = await freePorts();
    const ports = [backends.kept, backends.connect, backends.bulk].map(String);
    children.push(onCore(LOAD_CORE, [binary, 'serve', ...ports]));
    await listening(backends.connect);
    const running = await start(directory, backends, present);
    children.push(...running.map(({ process }) => process));
    const rows = await compare(binary, running);
    console.log(`\n${JSON.stringify({ bench: 'forward', rounds: Number(values.rounds), rows })}`);
  } finally {
    await Promise.all(children.map((child) => stop(child)));
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
