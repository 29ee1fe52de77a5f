import type { ExecutionContext } from 'ava';
import type { Pod } from '../cluster.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { GRPC_CLIENT, mountedPrograms, mounts, SERVERS, volumes } from '../journey/mounted.ts';
import { APP, pod, service } from '../journey/objects.ts';

// Servers of real protocols, used by their own clients, with a sidecar at each end.

const journey = journeys({ name: 'servers' });
const SOON = { terminationGracePeriodSeconds: 1 };
const TRANSFER_BYTES = 256 * 1024 * 1024;

/** The Services, each the only one to use its port. */
const PORTS = {
  redis: 6379,
  postgres: 5432,
  web: 8080,
  web2: 8081,
  grpc: 50051,
  greeting: 7070,
  echo: 7071,
} as const;
type Protocol = keyof typeof PORTS;

// Its clients come from another address than PostgreSQL trusts by default.
const POSTGRES = `initdb -D /tmp/postgres -U postgres -A trust > /dev/null
  echo 'host all all all trust' >> /tmp/postgres/pg_hba.conf
  exec postgres -D /tmp/postgres -c listen_addresses='*' -c unix_socket_directories=/tmp`;

journey(
  'redis, PostgreSQL, HTTP/1.1, HTTP/2, gRPC and plain TCP work with their own clients',
  async (t, stage) => {
    const redis = {
      name: 'redis',
      image: APP,
      command: ['redis-server', '--bind', '*', '-::*', '--protected-mode', 'no', '--save', ''],
      readinessProbe: ready(['redis-cli', 'ping']),
    };
    const postgres = {
      name: 'postgres',
      image: APP,
      command: ['runuser', '-u', 'postgres', '--', 'bash', '-c', POSTGRES],
      readinessProbe: ready(['psql', '-h', '127.0.0.1', '-U', 'postgres', '-c', 'select 1']),
    };
    const servers = {
      name: 'servers',
      image: APP,
      command: SERVERS,
      readinessProbe: { httpGet: { path: '/', port: PORTS.web }, periodSeconds: 1 },
      ...mounts,
    };
    const containers = [redis, postgres, servers];
    await stage.apply(
      mountedPrograms(),
      pod({ name: 'server', node: 'node-a', spec: { containers, ...volumes, ...SOON } }),
      clientPod(),
      ...Object.entries(PORTS).map(([name, port]) => service({ name, port, app: 'server' })),
    );
    await stage.kubectl(['wait', 'pod', '--all', '--for=condition=Ready', '--timeout=300s']);
    const ends = { t, stage, client: await stage.pod('client'), server: await stage.pod('server') };

    await through(ends, 'redis', async () => {
      const benchmark = ['redis-benchmark', '-h', 'redis', '-n', '5000', '-c', '20', '-P', '4', '-q'];
      const csv = await inClient(stage, [...benchmark, '-t', 'set,get,lpush,lrange_100', '--csv']);
      t.is(csv.trim().split('\n').length, 1 + 5, csv);
      await inClient(stage, ['redis-cli', '-h', 'redis', 'set', 'key', 'value']);
      t.is(await inClient(stage, ['redis-cli', '-h', 'redis', 'get', 'key']), 'value\n');
    });

    await through(ends, 'postgres', async () => {
      const as = ['-h', 'postgres', '-U', 'postgres'];
      await inClient(stage, ['pgbench', ...as, '-i', '-q', 'postgres']);
      const kept = await inClient(stage, ['pgbench', ...as, '-c', '4', '-t', '50', 'postgres']);
      t.regex(kept, /actually processed: 200\/200\n(.*\n)*number of failed transactions: 0 /);
      const select = 'select sum(delta) is not null, count(*) from pgbench_history';
      t.is(await inClient(stage, ['psql', ...as, '-Atc', select]), 't|200\n');
      const reconnecting = await inClient(stage, [
        'pgbench',
        ...as,
        '-C',
        '-S',
        '-c',
        '2',
        '-t',
        '20',
        'postgres',
      ]);
      t.regex(reconnecting, /actually processed: 40\/40\n(.*\n)*number of failed transactions: 0 /);
    });

    await through(ends, 'web', async () => {
      const url = 'http://web:8080/';
      const each = await inClient(stage, ['curl', '-sS', '-w', String.raw`%{num_connects}\n`, url, url, url]);
      t.is(each.match(/"pod":"server"/g)?.length, 3);
      t.deepEqual(each.match(/^\d$/gm), ['1', '0', '0'], 'one connection is kept for three requests');
    });

    await through(ends, 'web2', async () => {
      const write = ['-w', '%{http_version}'];
      const curl = ['curl', '-sS', '--http2-prior-knowledge', ...write, 'http://web2:8081'];
      t.is(await inClient(stage, curl), '{"pod":"server"}\n2');
    });

    await through(ends, 'grpc', async () => {
      const reply = await inClient(stage, [...GRPC_CLIENT, 'grpc:50051', '300']);
      t.deepEqual(JSON.parse(reply), { received: 300, right: 300 });
    });

    await through(ends, 'greeting', async () => {
      // The client says nothing until it is spoken to, and hears the rest after its own end.
      const script = `exec 3<>/dev/tcp/greeting/7070; read -r line <&3; echo "$line"
      printf hello | nc -N greeting 7070; printf hello | sha256sum`;
      const [first, again, last, sum] = (await inClient(stage, ['bash', '-c', script])).split('\n');
      t.is(first, '220 server');
      t.is(again, '220 server');
      t.is(last, `221 ${sum!.split(' ')[0]}`);
    });

    const before = await bytes(stage, ends.client, 'echo');
    await through(ends, 'echo', async () => {
      const script = `head -c ${TRANSFER_BYTES} /dev/urandom > /tmp/data; sha256sum < /tmp/data
      nc -N echo 7071 < /tmp/data | sha256sum; rm /tmp/data`;
      const [sent, received] = (await inClient(stage, ['bash', '-c', script])).split('\n');
      t.is(received, sent);
    });
    const after = await bytes(stage, ends.client, 'echo');
    t.deepEqual(
      [after.sent - before.sent, after.received - before.received],
      [TRANSFER_BYTES, TRANSFER_BYTES],
    );
  },
);

function ready(command: readonly string[]): unknown {
  return { exec: { command }, periodSeconds: 1, timeoutSeconds: 10 };
}

function clientPod(): unknown {
  const command = ['sleep', 'infinity'];
  return pod({
    name: 'client',
    node: 'node-b',
    command,
    ready: 'none',
    container: mounts,
    spec: { ...volumes, ...SOON },
  });
}

async function inClient(stage: Stage, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stage.cluster.exec(stage.namespace, 'client/client', command);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

interface Ends {
  readonly t: ExecutionContext;
  readonly stage: Stage;
  readonly client: Pod;
  readonly server: Pod;
}

/** Every connection that is made meanwhile is seen by both sidecars, and by the client's as one of the Service. */
async function through(ends: Ends, protocol: Protocol, use: () => Promise<void>): Promise<void> {
  const { t } = ends;
  const before = await opened(ends, protocol);
  await use();
  const after = await opened(ends, protocol);
  const out = after.outbound - before.outbound;
  t.true(out > 0, `no connection to ${protocol} went through the client's sidecar`);
  // The kubelet's probe is a client as well.
  if (protocol === 'web') t.true(after.inbound - before.inbound >= out);
  else t.is(after.inbound - before.inbound, out, `connections to ${protocol} that the server's sidecar saw`);
  t.is(after.balanced - before.balanced, out, `connections to ${protocol} that were balanced`);
  t.log(`${protocol}: ${out} connections`);
}

async function opened(
  { stage, client, server }: Ends,
  protocol: Protocol,
): Promise<Record<'outbound' | 'balanced' | 'inbound', number>> {
  const outbound = { direction: 'outbound', service: `${stage.namespace}/${protocol}` };
  const inbound = { direction: 'inbound', service: String(PORTS[protocol]) };
  const name = 'cortexflow_tcp_connections_opened_total';
  const clientMetrics = await stage.metrics(client);
  return {
    outbound: clientMetrics.sum(name, outbound),
    balanced: clientMetrics.sum('cortexflow_tcp_endpoint_connections_opened_total', outbound),
    inbound: (await stage.metrics(server)).sum(name, inbound),
  };
}

async function bytes(
  stage: Stage,
  from: Pod,
  protocol: Protocol,
): Promise<Record<'sent' | 'received', number>> {
  const metrics = await stage.metrics(from);
  const labels = { direction: 'outbound', service: `${stage.namespace}/${protocol}` };
  return {
    sent: metrics.sum('cortexflow_tcp_sent_bytes_total', labels),
    received: metrics.sum('cortexflow_tcp_received_bytes_total', labels),
  };
}
