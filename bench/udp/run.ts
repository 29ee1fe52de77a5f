/**
 * Compares UDP upstreams with nginx's stream proxy: one thread each, pinned to one core; the backend and the load on
 * the other. Most answers/s with a window of datagrams under way for each flow, and what is lost at half of nginx's
 * rate. Rounds are interleaved, medians reported, and ratios are what counts.
 *
 *   npm run bench:udp -- [--rounds 5] [--seconds 2] [--flows 16] [--window 16] [--size 64,1200]
 *
 * Needs Linux with two cores, taskset and a C compiler (cc); nginx takes part where it is installed with its stream
 * module (apt-get install nginx-light libnginx-mod-stream).
 */
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuSeconds, onCore } from '../forward/peers.ts';
import { SIDECAR_FLAGS } from '../sidecar-command.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const FIRST_PORT = 21_000;
const START_MS = 1_000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    flows: { type: 'string', default: '16' },
    window: { type: 'string', default: '16' },
    size: { type: 'string', default: '64,1200' },
  },
});

const directory = mkdtempSync(join(tmpdir(), 'cortexflow-bench-udp-'));
const peer = join(directory, 'peer');
execFileSync('cc', ['-O2', '-o', peer, join(import.meta.dirname, 'peer.c')], { stdio: 'inherit' });

interface Proxy {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

const backend = onCore(LOAD_CORE, [peer, 'echo', String(FIRST_PORT)]);
await once(backend.stdout!, 'data');
const proxies: readonly Proxy[] = [
  start('cortexflow', FIRST_PORT + 1, [
    process.execPath,
    ...SIDECAR_FLAGS,
    join(import.meta.dirname, 'sidecar.ts'),
    String(FIRST_PORT + 1),
    String(FIRST_PORT),
  ]),
  ...nginx(FIRST_PORT + 2),
];
await delay(START_MS);
const rows = [];
try {
  for (const size of values.size.split(',')) rows.push(...(await compare(size)));
} finally {
  for (const child of [backend, ...proxies.map((proxy) => proxy.process)]) child.kill();
  rmSync(directory, { recursive: true, force: true });
}
console.table(rows);
const load = loadavg().map((value) => value.toFixed(1));
console.log(JSON.stringify({ bench: 'udp', ...values, node: process.version, load, rows }));

function start(name: string, port: number, command: readonly string[]): Proxy {
  return { name, port, process: onCore(PROXY_CORE, command) };
}

function nginx(port: number): readonly Proxy[] {
  const module = '/usr/lib/nginx/modules/ngx_stream_module.so';
  if (!existsSync('/usr/sbin/nginx') || !existsSync(module)) {
    console.error('Without nginx: apt-get install nginx-light libnginx-mod-stream');
    return [];
  }
  const file = join(directory, 'nginx.conf');
  writeFileSync(
    file,
    `load_module ${module};
daemon off;
master_process off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
stream { server { listen 127.0.0.1:${port} udp; proxy_pass 127.0.0.1:${FIRST_PORT}; proxy_timeout 60s; } }
`,
  );
  return [start('nginx', port, ['/usr/sbin/nginx', '-p', directory, '-e', 'stderr', '-c', file])];
}

async function compare(size: string) {
  const rates = new Map<string, number[]>(proxies.map(({ name }) => [name, []]));
  const perCpu = new Map<string, number[]>(proxies.map(({ name }) => [name, []]));
  for (const proxy of proxies) await run('load', proxy, [size, values.window]);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const proxy of proxies) {
      const before = cpuSeconds(proxy.process.pid!);
      const rate = Number(await run('load', proxy, [size, values.window]));
      rates.get(proxy.name)!.push(rate);
      const spent = cpuSeconds(proxy.process.pid!) - before;
      perCpu.get(proxy.name)!.push((rate * Number(values.seconds)) / spent);
    }
  }
  const paced = Math.round(median(rates.get(proxies.at(-1)!.name)!) / 2);
  const lost = new Map<string, string>();
  for (const proxy of proxies) {
    const [sent = 0, answered = 0] = (await run('pace', proxy, [size, String(paced)])).split(' ').map(Number);
    lost.set(proxy.name, `${sent - answered} of ${sent}`);
  }
  return proxies.map(({ name }) => ({
    proxy: name,
    size,
    'answers/s': Math.round(median(rates.get(name)!)),
    lowest: Math.min(...rates.get(name)!),
    highest: Math.max(...rates.get(name)!),
    'answers a CPU second': Math.round(median(perCpu.get(name)!)),
    [`lost at half of the last one's rate`]: lost.get(name),
  }));
}

async function run(mode: 'load' | 'pace', { port }: Proxy, last: readonly string[]): Promise<string> {
  const child = onCore(LOAD_CORE, [peer, mode, String(port), values.seconds, values.flows, ...last]);
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`The load failed on port ${port}.`);
  return output.trim();
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
