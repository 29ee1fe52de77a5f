/**
 * Messages a second and how long each takes, taken by the sidecar that is connected to and by way of another one,
 * beside a bare server that parses and answers the same lines. Each connection has one message on its way. What is
 * measured runs on one core, both sidecars of the second case together; the load on the other. Rounds are
 * interleaved, medians reported.
 *
 *   npm run bench:message -- [--rounds 5] [--seconds 3] [--connections 64] [--bytes 64]
 *
 * Needs Linux with two cores and taskset.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { request, sharedPort } from '../../test/message/harness.ts';
import { SIDECAR_FLAGS } from '../sidecar-command.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    bytes: { type: 'string', default: '64' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const line = `${JSON.stringify(request('x'.repeat(Number(values.bytes))))}\n`;

const PEER = fileURLToPath(new URL('peer.ts', import.meta.url));
const MEASURED_CORE = '0';
const LOAD_CORE = '1';
const WARM_UP_SECONDS = 1;
/** Ticks of the clock that the kernel counts CPU time in. */
const TICKS_PER_SECOND = 100;

interface Sample {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuMicroseconds: number;
}

interface Case {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly children: readonly ChildProcess[];
  readonly samples: Sample[];
}

const children: ChildProcess[] = [];
execFileSync('taskset', ['-p', '-c', LOAD_CORE, String(process.pid)], { stdio: 'ignore' });
try {
  const [floor, one, two] = [await sharedPort(), await sharedPort(), await sharedPort()];
  const cases: readonly Case[] = [
    await caseOf('floor', floor, [['floor', '127.0.2.2', String(floor)]]),
    await caseOf('one sidecar', one, [['sidecar', '127.0.2.2', String(one), '127.0.2.2']]),
    await caseOf('two sidecars', two, [
      ['sidecar', '127.0.2.2', String(two), '127.0.2.3'],
      ['sidecar', '127.0.2.3', String(two), '127.0.2.3'],
    ]),
  ];
  for (const each of cases) await measure(each, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round += 1) {
    for (const each of cases) each.samples.push(await measure(each, seconds));
  }
  report(cases);
} finally {
  for (const child of children) child.kill('SIGKILL');
}

async function caseOf(name: string, port: number, commands: readonly (readonly string[])[]): Promise<Case> {
  const own = commands.map((command) =>
    spawn('taskset', ['-c', MEASURED_CORE, process.execPath, ...SIDECAR_FLAGS, PEER, ...command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  children.push(...own);
  for (const child of own) await once(child, 'message');
  return { name, address: '127.0.2.2', port, children: own, samples: [] };
}

async function measure({ address, port, children: own }: Case, forSeconds: number): Promise<Sample> {
  const latencies: number[] = [];
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ host: address, port, noDelay: true });
      await once(socket, 'connect');
      return socket;
    }),
  );
  const cpuBefore = cpuSeconds(own);
  const startedAtMs = performance.now();
  const endMs = startedAtMs + forSeconds * 1_000;
  await Promise.all(sockets.map((socket) => talk(socket, endMs, latencies)));
  const elapsed = (performance.now() - startedAtMs) / 1_000;
  const cpu = cpuSeconds(own) - cpuBefore;
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return {
    rate: sorted.length / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicroseconds: (cpu * 1e6) / sorted.length,
  };
}

/** One message after another; a reply ends with the only newline that it has. */
function talk(socket: Socket, endMs: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAtMs = performance.now();
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      if (chunk.at(-1) !== 0x0a) return;
      const nowMs = performance.now();
      latencies.push(nowMs - sentAtMs);
      if (nowMs >= endMs) {
        socket.destroy();
        resolve();
        return;
      }
      sentAtMs = nowMs;
      socket.write(line);
    });
    socket.write(line);
  });
}

/** Of all of them together, proc(5). */
function cpuSeconds(own: readonly ChildProcess[]): number {
  return own.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }, 0);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function report(cases: readonly Case[]): void {
  const rows = cases.map(({ name, samples }) => ({
    name,
    'messages/s': Math.round(median(samples.map(({ rate }) => rate))),
    'p50, ms': Number(median(samples.map(({ p50 }) => p50)).toFixed(3)),
    'p99, ms': Number(median(samples.map(({ p99 }) => p99)).toFixed(3)),
    'CPU a message, µs': Number(median(samples.map(({ cpuMicroseconds }) => cpuMicroseconds)).toFixed(1)),
  }));
  console.table(rows);
  console.log(JSON.stringify({ connections, bytes: Number(values.bytes), rows }));
}
