/**
 * What hostile peers can do to each program: how long its event loop is held at most, what memory it takes above rest,
 * and whether a client that behaves is answered meanwhile.
 *
 *   npm run bench:hostile -- [--only dns]
 *
 * Needs Linux (memory is read from /proc). Only loopback: the attacker is 127.0.0.2, the client 127.0.0.1.
 */
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { issueAuthority, issueServer } from '../../injector/certificates/issue.ts';
import { ask as askDns } from '../../test/dns/ask.ts';
import { PLAIN_POD, podReview } from '../../test/injector/reviews.ts';
import { Program } from '../../test/system/programs.ts';
import { until } from '../../test/until.ts';
import { deltaStream } from '../../test/xds/client.ts';
import * as attacks from './attacks.ts';
import { type Ask, measure, Probe, type Result } from './victim.ts';

/** No attack begins later, so that all is over within three minutes. */
const LAST_START_MS = 150_000;
const GOAL = { heldMs: 50, memoryMB: 64 };
const TOP = fileURLToPath(new URL('../..', import.meta.url));
const ENDPOINTS = 'type.googleapis.com/cortexflow.mesh.v1.Endpoints';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const folder = mkdtempSync(join(tmpdir(), 'cortexflow-hostile-'));
const endings: (() => unknown)[] = [];
const rows: ({ readonly attack: string } & Result)[] = [];

type Attack = readonly [name: string, run: (probe: Probe) => Promise<Result>];

const ATTACKS: readonly Attack[] = [
  ['control plane: 10 × 90,000 invented versions', (probe) => onXds(probe, attacks.inventedVersions)],
  ['control plane: 50 × 8,000 long names', (probe) => onXds(probe, attacks.longNames)],
  ['control plane: streams without end', (probe) => onXds(probe, attacks.streamStorm)],
  ['control plane: connections without end', (probe) => onConnections(probe)],
  ['control plane: costly files', (probe) => onFiles(probe)],
  ['control plane: 1,500 GET /metrics', (probe) => onAdmin(probe, startControlPlane)],
  ['sidecar: 1,500 GET /metrics', (probe) => onAdmin(probe, startSidecar)],
  ['injector: 1,500 GET /metrics', (probe) => onAdmin(probe, startInjector)],
  ['injector: 4 MB of [[[…]]]', (probe) => onReviews(probe)],
  ['sidecar: DNS names without end', (probe) => onDns(probe)],
  ['sidecar: 200,000 messages, unread', (probe) => onMessages(probe)],
];

try {
  for (const [attack, run] of ATTACKS.filter(([name]) => name.includes(values.only))) {
    if (performance.now() > LAST_START_MS) {
      console.log(`Left out, since this machine is too slow now: ${attack}`);
      continue;
    }
    process.stderr.write(`${attack}\n`);
    rows.push({ attack, ...(await run(new Probe(folder, attack))) });
    for (const end of endings.splice(0).toReversed()) await end();
  }
} finally {
  for (const end of endings.toReversed()) await end();
  rmSync(folder, { recursive: true });
}
report();

function start(file: string, environment: Readonly<Record<string, string>>): Program {
  const program = new Program({ file, environment: { CORTEXFLOW_LOG_LEVEL: 'info', ...environment } });
  endings.push(() => program.end('SIGKILL'));
  return program;
}

/** On a copy of the example, which attacks may write to. */
function startControlPlane(environment: Readonly<Record<string, string>>): Program {
  const directory = join(folder, 'mesh');
  rmSync(directory, { recursive: true, force: true });
  cpSync(join(TOP, 'examples/hello'), directory, { recursive: true });
  return start('control-plane/main.ts', {
    CORTEXFLOW_DIRECTORY: directory,
    CORTEXFLOW_XDS_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    ...environment,
  });
}

async function startSidecar(environment: Readonly<Record<string, string>>): Promise<Program> {
  const { xds } = await startControlPlane({}).serving();
  return start('sidecar/main.ts', {
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    ...environment,
  });
}

/** Without an API server: its admin page is there all the same. */
function startInjector(environment: Readonly<Record<string, string>>): Program {
  const kubeconfig = join(folder, 'kubeconfig');
  const server = { name: 'none', cluster: { server: 'https://127.0.0.1:1' } };
  const context = { name: 'none', context: { cluster: 'none', user: 'none' } };
  const user = { name: 'none', user: {} };
  const config = { clusters: [server], contexts: [context], users: [user], 'current-context': 'none' };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }));
  return start('injector/main.ts', {
    KUBECONFIG: kubeconfig,
    CORTEXFLOW_NAMESPACE: 'cortexflow',
    CORTEXFLOW_WEBHOOK_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    ...environment,
  });
}

function portOf(address: unknown): number {
  return Number(/:(\d+)$/u.exec(String(address))?.[1]);
}

/** A first stream of a client, until its first answer. */
function firstStream(address: string): Ask {
  return async () => {
    const stream = deltaStream(address);
    try {
      stream.send({ typeUrl: ENDPOINTS, resourceNamesSubscribe: ['demo/hello/*'] });
      await stream.next();
    } finally {
      stream.close();
    }
  };
}

function page(admin: unknown, path: string): Ask {
  return async () => {
    await (await fetch(`http://${String(admin)}${path}`, { signal: AbortSignal.timeout(5_000) })).text();
  };
}

async function onXds(probe: Probe, attack: (port: number) => Promise<void>): Promise<Result> {
  const program = startControlPlane(probe.environment);
  const { xds } = await program.serving();
  return measure({ pid: program.pid, probe }, () => attack(portOf(xds)), firstStream(String(xds)));
}

async function onConnections(probe: Probe): Promise<Result> {
  const program = startControlPlane(probe.environment);
  const { xds, admin } = await program.serving();
  const [stream, ready] = [firstStream(String(xds)), page(admin, '/readyz')];
  const ask = (): Promise<unknown> => Promise.all([stream(), ready()]);
  return measure({ pid: program.pid, probe }, () => attacks.silentConnections(portOf(xds)), ask);
}

/** The client's edit of another file is what has to arrive. */
async function onFiles(probe: Probe): Promise<Result> {
  const program = startControlPlane(probe.environment);
  const { xds } = await program.serving();
  const write = attacks.writerIn(join(folder, 'mesh'));
  const example = readFileSync(join(TOP, 'examples/hello/endpoints-1.yaml'), 'utf8');
  const stream = deltaStream(String(xds));
  endings.push(() => stream.close());
  stream.send({ typeUrl: ENDPOINTS, resourceNamesSubscribe: ['demo/hello/*'] });
  await stream.next();
  let edits = 0;
  const ask = async (): Promise<void> => {
    edits += 1;
    write('endpoints-1.yaml', example.replaceAll('8101', String(20_000 + edits)));
    const { nonce } = await stream.next();
    stream.send({ typeUrl: ENDPOINTS, responseNonce: nonce });
  };
  return measure({ pid: program.pid, probe }, () => attacks.costlyFiles(write), ask);
}

async function onAdmin(
  probe: Probe,
  begin: (environment: Readonly<Record<string, string>>) => Program | Promise<Program>,
): Promise<Result> {
  const program = await begin(probe.environment);
  const { admin } = await program.serving();
  const attack = (): Promise<void> => attacks.pipelinedMetrics(portOf(admin));
  return measure({ pid: program.pid, probe }, attack, page(admin, '/healthz'));
}

async function onReviews(probe: Probe): Promise<Result> {
  const validity = { from: Date.now() - 60_000, until: Date.now() + 86_400_000 };
  const authority = await issueAuthority(validity);
  const { certificate, key } = await issueServer(authority, ['127.0.0.1'], validity);
  const server = fileURLToPath(new URL('../injector/server.ts', import.meta.url));
  const child = fork(server, ['cortexflow'], { env: { ...process.env, ...probe.environment } });
  endings.push(() => child.kill('SIGKILL'));
  child.send({ certificate: certificate.pem, key });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const body = JSON.stringify(podReview(PLAIN_POD));
  const ca = authority.certificate.pem;
  const ask: Ask = () =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const options = { host: '127.0.0.1', port, ca, path: '/mutate', method: 'POST', headers };
      const review = request(options, (response) => {
        response.resume();
        response.on('end', () => (response.statusCode === 200 ? resolve(200) : reject(new Error('refused'))));
      });
      review.on('error', reject);
      review.setTimeout(5_000, () => review.destroy(new Error('no answer')));
      review.end(body);
    });
  return measure({ pid: child.pid!, probe }, () => attacks.nestedReviews(port), ask);
}

async function onDns(probe: Probe): Promise<Result> {
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');
  endings.push(() => silent.close());
  const program = await startSidecar({
    ...probe.environment,
    CORTEXFLOW_DNS_LISTEN: '127.0.0.1:0',
    CORTEXFLOW_DNS_UPSTREAMS: `127.0.0.1:${silent.address().port}`,
  });
  const { dns } = await program.serving();
  const port = portOf((dns as string[])[0]);
  const ask: Ask = () => askDns(port, { name: 'hello.demo.svc.cluster.local', tries: 5, timeoutMs: 1_000 });
  await until(
    'an answer from the table',
    ask,
    (answer) => (answer as { status: string }).status === 'NOERROR',
  );
  return measure({ pid: program.pid, probe }, () => attacks.dnsFlood(port), ask);
}

async function onMessages(probe: Probe): Promise<Result> {
  const program = await startSidecar({ ...probe.environment, CORTEXFLOW_MESSAGES_LISTEN: '127.0.0.1:0' });
  const { messages } = await program.serving();
  const port = portOf((messages as string[])[0]);
  const ask: Ask = async () => {
    const socket = connect({ host: '127.0.0.1', port });
    try {
      socket.write('{"service":"hello.demo","direction":"Incoming","payload":"aGk="}\n');
      await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
    } finally {
      socket.destroy();
    }
  };
  return measure({ pid: program.pid, probe }, () => attacks.messageFlood(port), ask);
}

function report(): void {
  const machine = `${availableParallelism()} × ${cpus()[0]?.model}, Node ${process.version}`;
  console.log(
    `${machine}; load ${loadavg()[0]?.toFixed(1)}; goal ${GOAL.heldMs} ms of CPU, ${GOAL.memoryMB} MB`,
  );
  console.log(
    '| attack | held, ms | of it CPU, ms | memory above rest, MB | client answered | slowest, ms |',
  );
  console.log('| - | - | - | - | - | - |');
  for (const { attack, wallMs, cpuMs, memoryMB, answered, unanswered, slowestMs } of rows) {
    const [wall, cpu, slowest] = [wallMs, cpuMs, slowestMs].map((ms) => ms.toFixed(0));
    const share = `${answered} of ${answered + unanswered}`;
    console.log(`| ${attack} | ${wall} | ${cpu} | ${memoryMB.toFixed(0)} | ${share} | ${slowest} |`);
  }
  console.log(JSON.stringify({ bench: 'hostile', machine, goal: GOAL, rows }));
}
