import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { until } from '../until.ts';
import { Mesh } from './mesh.ts';
import type { Pod } from './pod.ts';
import { skipped } from './skipped.ts';

// What an application that knows nothing of a mesh sees of the connections that are made to it, and who makes them.

const OUT_OF_WINDOW = fileURLToPath(new URL('out-of-window.pl', import.meta.url));
const REFUSED = 'curl 7';
const RESET = /^curl (?:7|52|56)$/u;

if (!skipped(test)) {
  let mesh: Mesh;
  let server: Pod;
  let outside: Pod;
  /** In the mesh, too. */
  let client: Pod;

  test.before(async () => {
    mesh = await Mesh.create('in');
    [server, outside, client] = await Promise.all([
      mesh.pod('server'),
      mesh.pod('outside'),
      mesh.pod('client'),
    ]);
    const pods = [server];
    mesh.write(
      { name: 'hello', clusterIps: ['10.96.0.10', 'fd96::10'], port: 80, targetPort: 8080, pods },
      { name: 'digest', clusterIps: ['10.96.0.15', 'fd96::15'], port: 90, targetPort: 9090, pods },
      { name: 'greeting', clusterIps: ['10.96.0.14', 'fd96::14'], port: 25, targetPort: 2525, pods },
    );
    await server.ask('serve', { kind: 'name', port: 8080, name: 'server' });
    await server.ask('serve', { kind: 'digest', port: 9090 });
    await server.ask('serve', { kind: 'greeting', port: 2525, name: 'server' });
    await mesh.startControlPlane();
    await server.inject(mesh.bootstrap());
    await client.inject(mesh.bootstrap());
  });

  test.after.always(() => mesh.remove());

  test.serial('whoever is outside of the mesh reaches the application, on both families', async (t) => {
    const before = await server.metric(opened(8080));
    const { ipv4, ipv6 } = server;
    t.is(await outside.curl(`http://${ipv4}:8080`), `server ::ffff:${ipv4} ::ffff:${ipv4}\n`);
    t.is(await outside.curl(`http://[${ipv6}]:8080`), `server ${ipv6} ${ipv6}\n`);
    t.is(await server.metric(opened(8080)), before + 2);
  });

  test.serial('from sidecar to sidecar', async (t) => {
    t.regex(await client.curl('http://10.96.0.10'), /^server /u);
    t.regex(await client.curl('http://[fd96::10]'), /^server /u);
    const id = await client.ask('open', { host: '10.96.0.14', port: 25 });
    t.is(await client.ask('say', { id, text: '' }), '220 server ready\n');
    t.is(await client.ask('say', { id, text: 'HELO\n' }), '250 HELO\n');
    const ending = client.ask('ending', { id });
    await server.ask('resetAll', { port: 2525 });
    t.is(await ending, 'ECONNRESET');
  });

  test.serial('a port at which nobody listens is refused by the kernel, until somebody does', async (t) => {
    for (const host of [server.ipv4, `[${server.ipv6}]`]) {
      const url = `http://${host}:8081`;
      t.is(await outside.curl(url), REFUSED);
      await server.ask('serve', { kind: 'name', port: 8081, name: 'late' });
      t.regex(await outside.curl(url), /^late /u);
      await server.ask('stop', { port: 8081 });
      t.is(await outside.curl(url), REFUSED);
    }
    t.is(await server.metric(opened(8081)), 2);
  });

  test.serial('a listener on loopback stays out of reach', async (t) => {
    await server.ask('serve', { kind: 'name', port: 8082, host: '127.0.0.1', name: 'loopback' });
    t.is(await outside.curl(`http://${server.ipv4}:8082`), REFUSED);
    t.is(await outside.curl(`http://[${server.ipv6}]:8082`), REFUSED);
    t.regex(await server.curl('http://127.0.0.1:8082'), /^loopback /u);
  });

  test.serial('a listener on one address or one family is reached there alone', async (t) => {
    await server.ask('serve', { kind: 'name', port: 8083, host: server.ipv4, name: 'one' });
    await server.ask('serve', { kind: 'name', port: 8084, host: '0.0.0.0', name: 'four' });
    t.regex(await outside.curl(`http://${server.ipv4}:8083`), /^one /u);
    t.is(await outside.curl(`http://[${server.ipv6}]:8083`), REFUSED);
    t.regex(await outside.curl(`http://${server.ipv4}:8084`), /^four /u);
    t.is(await outside.curl(`http://[${server.ipv6}]:8084`), REFUSED);
    t.is(await server.metric(opened(8083)), 1);
  });

  test.serial(
    'the ports of the sidecar are not redirected; nobody is carried by connecting to them',
    async (t) => {
      t.is(await outside.curl(`http://${server.ipv4}:5058/readyz`), 'ready\n');
      for (const host of [server.ipv4, `[${server.ipv6}]`]) {
        t.regex(await outside.curl(`http://${host}:5056`), RESET);
      }
      t.is(await server.metric(refused('inbound')), 2);
    },
  );

  test.serial(
    'strangers read health and metrics, and neither the table nor do they change anything',
    async (t) => {
      const status = ['-o', '/dev/null', '-w', '%{http_code}'];
      const debug = ['-X', 'PUT', '/log-level?level=debug'];
      for (const [path, expected] of [
        [['/healthz'], '200'],
        [['/metrics'], '200'],
        [['/config'], '403'],
        [['/log-level'], '403'],
        [debug, '403'],
      ] as const) {
        const words = path.map((word) => (word.startsWith('/') ? `http://${server.ipv4}:5058${word}` : word));
        t.is(await outside.curl(...status, ...words), expected, words.join(' '));
      }
      t.is(await server.curl('http://127.0.0.1:5058/log-level'), 'info\n');
      t.is(await server.curl(...status, 'http://127.0.0.1:5058/config'), '200');
      t.is(await server.curl(...status, `http://${server.ipv4}:5058/config`), '200');
    },
  );

  test.serial('excluded ports and clients do not pass the sidecar', async (t) => {
    const careful = await mesh.pod('careful');
    const exclude = { ports: ['8090'], cidrs: [`${client.ipv4}/32`, `${client.ipv6}/128`] };
    await careful.inject(mesh.bootstrap({ interception: { inbound: { exclude } } }));
    for (const port of [8080, 8090]) await careful.ask('serve', { kind: 'name', port, name: 'careful' });
    const seen = async (from: Pod, port: number) =>
      (await from.curl(`http://${careful.ipv4}:${port}`)).trim().split(' ').at(-1);
    t.is(await seen(outside, 8090), `::ffff:${outside.ipv4}`);
    t.is(await seen(outside, 8080), `::ffff:${careful.ipv4}`);
    // The client's sidecar is who comes, from the client's address.
    t.is(await seen(client, 8080), `::ffff:${client.ipv4}`);
    t.is(await careful.metric(opened(8080)), 1);
  });

  test.serial('short connections do not use up the ports of the pod', async (t) => {
    // Each keeps its ports for a minute where the client was first to end it: more of them than there are.
    const busy = await mesh.pod('busy');
    await busy.at.must('sysctl', '-qw', 'net.ipv4.ip_local_port_range=40000 40049');
    await busy.ask('serve', { kind: 'digest', port: 9090 });
    await busy.inject(mesh.bootstrap());
    for (const host of [busy.ipv4, busy.ipv6]) {
      for (let round = 0; round < 3; round += 1) {
        for (let count = 0; count < 30; count += 1) {
          t.true(await outside.ask('upload', { host, port: 9090, bytes: 1 }), `${host} ${round} ${count}`);
        }
        await delay(2_500);
      }
    }
  });

  test.serial('a client that ends its half, and one that resets', async (t) => {
    t.true(await outside.ask('upload', { host: server.ipv6, port: 9090, bytes: 1_000_000 }));
    const id = await outside.ask('open', { host: server.ipv4, port: 2525 });
    await outside.ask('say', { id, text: '' });
    t.is(await server.ask('accepted', { port: 2525 }), 1);
    await outside.ask('reset', { id });
    await until(
      'no connection open at the server',
      () => server.ask('accepted', { port: 2525 }),
      (accepted) => accepted === 0,
    );
  });

  test.serial('a segment out of window ends no connection: it is dropped, as if it were lost', async (t) => {
    const dropped = async () => {
      const rules = await server.at.must('nft', 'list', 'chain', 'inet', 'cortexflow', 'invalid');
      return Number(/counter packets (\d+)/u.exec(rules)?.[1]);
    };
    const before = await dropped();
    t.is(await outside.at.must('perl', OUT_OF_WINDOW, server.ipv4, '2525'), '250 HELO\n');
    t.is(await dropped(), before + 1);
  });

  test.serial('a gigabyte arrives byte for byte', async (t) => {
    t.timeout(240_000);
    const upload = client.ask('upload', { host: '10.96.0.15', port: 90, bytes: 1024 ** 3 });
    const arrived = await upload.catch(String);
    if (arrived !== true) {
      for (const [name, pod] of Object.entries({ client, server })) t.log(name, await told(pod));
    }
    t.is(arrived, true);
    t.is((await server.metric(bytes(9090))) >= 1024 ** 3, true);
  });
}

/** How the connections of a pod's sidecar have ended, and what it logged. */
async function told(pod: Pod): Promise<string> {
  const closed = (await pod.metrics())
    .split('\n')
    .filter((line) => line.startsWith('cortexflow_tcp_connections_closed_total{') && !line.endsWith(' 0'));
  return [...closed, ...pod.logs].join('\n');
}

function refused(direction: string): string {
  return `cortexflow_tcp_connections_closed_total{direction="${direction}",service="direct",outcome="not-redirected"}`;
}

function opened(port: number): string {
  return `cortexflow_tcp_connections_opened_total{direction="inbound",service="${port}"}`;
}

function bytes(port: number): string {
  return `cortexflow_tcp_sent_bytes_total{direction="inbound",service="${port}"}`;
}
