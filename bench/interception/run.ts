/**
 * What interception adds to a round trip: between two pods without a mesh, with a sidecar at the client alone, and
 * with one at either end. Pods are network namespaces, as in test/interception; proxy-init, sidecars and control
 * plane are the real ones. Rounds are interleaved, medians reported.
 *
 *   npm run bench:interception -- [--rounds 5] [--connections 1,16] [--round-trips 2000] [--new-connections 300]
 *
 * Needs Linux, root, nft, ip, nsenter, setpriv, curl and sysctl. Nothing else should run meanwhile.
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Mesh } from '../../test/interception/mesh.ts';
import { whyNot } from '../../test/interception/network.ts';
import type { Pod } from '../../test/interception/pod.ts';
import { SIDECAR_ENVIRONMENT, SIDECAR_FLAGS } from '../sidecar-command.ts';
import type { Task, Times } from './client.ts';

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));
const PORT = 7_777;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '1,16' },
    'round-trips': { type: 'string', default: '2000' },
    'new-connections': { type: 'string', default: '300' },
  },
});

interface Way {
  readonly name: string;
  readonly client: Pod;
  readonly host: string;
  readonly port: number;
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

type Measured = Readonly<Record<keyof Times, Percentiles>>;

async function ways(mesh: Mesh): Promise<readonly Way[]> {
  const [plainClient, client, plainServer, server] = await Promise.all(
    ['plain-client', 'client', 'plain-server', 'server'].map((name) => mesh.pod(name)),
  );
  if (!plainClient || !client || !plainServer || !server) throw new Error('no pods');
  for (const pod of [plainServer, server]) await pod.ask('serve', { kind: 'echo', port: PORT });
  const service = { port: PORT, targetPort: PORT };
  mesh.write(
    { name: 'plain', clusterIps: ['10.96.0.10'], pods: [plainServer], ...service },
    { name: 'meshed', clusterIps: ['10.96.0.11'], pods: [server], ...service },
  );
  await mesh.startControlPlane();
  // As `npm run sidecar` runs it.
  const environment = { ...SIDECAR_ENVIRONMENT, NODE_OPTIONS: SIDECAR_FLAGS.join(' ') };
  for (const pod of [client, server]) await pod.inject(mesh.bootstrap(), environment);
  return [
    { name: 'no mesh', client: plainClient, host: plainServer.ipv4, port: PORT },
    { name: 'sidecar at the client', client, host: '10.96.0.10', port: PORT },
    { name: 'sidecar at both', client, host: '10.96.0.11', port: PORT },
  ];
}

async function measure({ client, host, port }: Way, connections: number): Promise<Measured> {
  const task: Task = {
    host,
    port,
    connections,
    roundTrips: Number(values['round-trips']),
    newConnections: Number(values['new-connections']),
  };
  const output = await client.at.must(process.execPath, CLIENT, JSON.stringify(task));
  const { kept, fresh } = JSON.parse(output) as Times;
  return { kept: percentiles(kept), fresh: percentiles(fresh) };
}

function percentiles(times: readonly number[]): Percentiles {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? Number.NaN;
}

interface Row {
  readonly connections: number;
  readonly way: string;
  readonly kept: Percentiles;
  readonly fresh: Percentiles;
}

function summarise(connections: number, way: string, rounds: readonly Measured[]): Row {
  const of = (kind: keyof Times): Percentiles => ({
    p50: median(rounds.map((round) => round[kind].p50)),
    p99: median(rounds.map((round) => round[kind].p99)),
  });
  return { connections, way, kept: of('kept'), fresh: of('fresh') };
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(0)}`;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const base = rows.find(({ connections }) => connections === row.connections) ?? row;
    const cells = (['kept', 'fresh'] as const).flatMap((kind) =>
      (['p50', 'p99'] as const).map(
        (share) => `${row[kind][share].toFixed(0)} (${signed(row[kind][share] - base[kind][share])})`,
      ),
    );
    return `| ${row.connections} | ${row.way} | ${cells.join(' | ')} |`;
  });
  return [
    '| connections | µs | kept p50 | kept p99 | new p50 | new p99 |',
    '| ----------- | -- | -------- | -------- | ------- | ------- |',
    ...lines,
  ].join('\n');
}

const why = whyNot();
if (why !== undefined) throw new Error(`Interception cannot be measured here: ${why}`);
const mesh = await Mesh.create('bench');
try {
  const rows: Row[] = [];
  const all = await ways(mesh);
  for (const connections of values.connections.split(',').map(Number)) {
    const rounds = new Map(all.map(({ name }) => [name, [] as Measured[]]));
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const way of all) rounds.get(way.name)?.push(await measure(way, connections));
    }
    for (const { name } of all) rows.push(summarise(connections, name, rounds.get(name) ?? []));
  }
  console.log(table(rows));
  console.log(JSON.stringify({ load: loadavg(), node: process.version, rows }));
} finally {
  await mesh.remove();
}
