import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { until } from '../until.ts';
import { Mesh } from './mesh.ts';
import type { Pod } from './pod.ts';
import { skipped } from './skipped.ts';

// What an application that knows nothing of a mesh sees of the connections that it makes.

/** While it was connecting, before it had sent anything, or later: curl sees a reset when it looks. */
const RESET = /^curl (?:7|52|56)$/u;

const PASSED = 'cortexflow_tcp_connections_opened_total{direction="outbound",service="pass-through"}';

if (!skipped(test)) {
  let mesh: Mesh;
  /** The only one with a sidecar. */
  let client: Pod;
  let one: Pod;
  let two: Pod;
  let world: Pod;

  test.before(async () => {
    mesh = await Mesh.create('out');
    [client, one, two, world] = await Promise.all([
      mesh.pod('client'),
      mesh.pod('one'),
      mesh.pod('two'),
      mesh.host(),
    ]);
    for (const [name, pod] of Object.entries({ client, one, two, world })) {
      await pod.ask('serve', { kind: 'name', port: 8080, name });
    }
    mesh.write(
      { name: 'hello', clusterIps: ['10.96.0.10', 'fd96::10'], port: 80, targetPort: 8080, pods: [one, two] },
      { name: 'itself', clusterIps: ['10.96.0.11', 'fd96::11'], port: 80, targetPort: 8080, pods: [client] },
      { name: 'empty', clusterIps: ['10.96.0.12', 'fd96::12'], port: 80, targetPort: 8080, pods: [] },
      { name: 'dead', clusterIps: ['10.96.0.13', 'fd96::13'], port: 80, targetPort: 9, pods: [one, two] },
      { name: 'headless', clusterIps: ['None'], port: 8080, targetPort: 8080, pods: [one, two] },
      { name: 'greeting', clusterIps: ['10.96.0.14', 'fd96::14'], port: 25, targetPort: 2525, pods: [one] },
      { name: 'digest', clusterIps: ['10.96.0.15', 'fd96::15'], port: 90, targetPort: 9090, pods: [one] },
      { name: 'source', clusterIps: ['10.96.0.16', 'fd96::16'], port: 91, targetPort: 9091, pods: [one] },
    );
    await one.ask('serve', { kind: 'greeting', port: 2525, name: 'one' });
    await one.ask('serve', { kind: 'digest', port: 9090 });
    await one.ask('serve', { kind: 'source', port: 9091, name: String(16 * 1024 * 1024) });
    await mesh.startControlPlane();
    await client.inject(mesh.bootstrap());
  });

  test.after.always(() => mesh.remove());

  for (const host of ['10.96.0.10', '[fd96::10]']) {
    test.serial(`connections to a cluster IP are balanced over its endpoints: ${host}`, async (t) => {
      const answers = new Map<string, number>();
      // An endpoint that once took long to accept gets its share again after a while.
      while (answers.size < 2 || Math.min(...answers.values()) < 5) {
        const [name = ''] = (await client.curl(`http://${host}`)).split(' ');
        answers.set(name, (answers.get(name) ?? 0) + 1);
      }
      t.deepEqual([...answers.keys()].toSorted(), ['one', 'two']);
    });
  }

  test.serial(
    'an address that is no Service passes through, on both families, and from the pod itself',
    async (t) => {
      const before = await client.metric(PASSED);
      t.is(await client.curl('http://203.0.113.5:8080'), `world ::ffff:203.0.113.5 ::ffff:${client.ipv4}\n`);
      t.is(await client.curl('http://[2001:db8:5::5]:8080'), `world 2001:db8:5::5 ${client.ipv6}\n`);
      t.is(await client.metric(PASSED), before + 2);
    },
  );

  test.serial('the address of a pod reaches that pod, of a headless Service or not', async (t) => {
    for (let count = 0; count < 5; count += 1) {
      t.regex(await client.curl(`http://${two.ipv4}:8080`), /^two /u);
      t.regex(await client.curl(`http://[${one.ipv6}]:8080`), /^one /u);
    }
  });

  test.serial('a pod reaches itself by its own Service', async (t) => {
    t.is(await client.curl('http://10.96.0.11'), `client ::ffff:${client.ipv4} ::ffff:${client.ipv4}\n`);
    t.is(await client.curl('http://[fd96::11]'), `client ${client.ipv6} ${client.ipv6}\n`);
  });

  test.serial('loopback and the pod to its own address are left alone', async (t) => {
    const before = await client.metrics();
    t.is(await client.curl('http://127.0.0.1:8080'), 'client ::ffff:127.0.0.1 ::ffff:127.0.0.1\n');
    t.is(await client.curl('http://[::1]:8080'), 'client ::1 ::1\n');
    t.is(
      await client.curl(`http://${client.ipv4}:8080`),
      `client ::ffff:${client.ipv4} ::ffff:${client.ipv4}\n`,
    );
    t.is(openedLines(await client.metrics()), openedLines(before));
  });

  test.serial('the connections of the user that the sidecar runs as are left alone', async (t) => {
    const before = openedLines(await client.metrics());
    const curl = ['setpriv', '--reuid', '2102', '--clear-groups', 'curl', '-sS', '--max-time', '2'] as const;
    t.regex(await client.at.must(...curl, 'http://203.0.113.5:8080'), /^world /u);
    t.not((await client.at.run(...curl, 'http://10.96.0.10')).code, 0);
    t.is(openedLines(await client.metrics()), before);
  });

  test.serial('a server that speaks first is heard', async (t) => {
    const id = await client.ask('open', { host: '10.96.0.14', port: 25 });
    t.is(await client.ask('say', { id, text: '' }), '220 one ready\n');
    t.is(await client.ask('say', { id, text: 'HELO\n' }), '250 HELO\n');
    await client.ask('close', { id });
  });

  test.serial('connections to several places may come from one port', async (t) => {
    // Redirected they would all be from there to one port of the sidecar: the kernel has to tell them apart.
    const targets = [
      ['10.96.0.14', 25],
      [one.ipv4, 2525],
      ['203.0.113.5', 2526],
    ] as const;
    await world.ask('serve', { kind: 'greeting', port: 2526, name: 'world' });
    const ids: number[] = [];
    for (const [host, port] of targets) ids.push(await client.ask('open', { host, port, localPort: 45_678 }));
    const heard = await Promise.all(ids.map((id) => client.ask('say', { id, text: '' })));
    t.deepEqual(heard, ['220 one ready\n', '220 one ready\n', '220 world ready\n']);
    for (const id of ids) await client.ask('close', { id });
  });

  test.serial('a client that ends its half gets the answer', async (t) => {
    t.true(await client.ask('upload', { host: '10.96.0.15', port: 90, bytes: 1_000_000 }));
    t.true(await client.ask('upload', { host: 'fd96::15', port: 90, bytes: 1_000_000 }));
  });

  test.serial('a long answer comes whole, and its end', async (t) => {
    const through = await client.ask('download', { host: '10.96.0.16', port: 91 });
    t.regex(through, /^16777256 /u);
    t.is(
      await client.ask('download', { host: '127.0.0.1', port: 1 }).catch(({ message }: Error) => message),
      'ECONNREFUSED',
    );
  });

  test.serial('a server that resets is a reset to the client, and the other way round', async (t) => {
    const id = await client.ask('open', { host: '10.96.0.14', port: 25 });
    await client.ask('say', { id, text: '' });
    const ending = client.ask('ending', { id });
    await one.ask('resetAll', { port: 2525 });
    t.is(await ending, 'ECONNRESET');

    const other = await client.ask('open', { host: '10.96.0.14', port: 25 });
    await client.ask('say', { id: other, text: '' });
    await client.ask('reset', { id: other });
    await until(
      'no connection open at the server',
      () => one.ask('accepted', { port: 2525 }),
      (accepted) => accepted === 0,
    );
  });

  test.serial('what cannot be reached is a reset at once, and is counted with its Service', async (t) => {
    for (const [url, service, outcome] of [
      ['http://10.96.0.12', 'demo/empty', 'no-endpoints'],
      ['http://[fd96::12]', 'demo/empty', 'no-endpoints'],
      ['http://10.96.0.10:81', 'demo/hello', 'unknown-port'],
      ['http://10.96.0.13', 'demo/dead', 'connect-failed'],
      [`http://${one.ipv4}:9`, 'pass-through', 'connect-failed'],
      ['http://198.51.100.1', 'pass-through', 'connect-failed'],
    ] as const) {
      const before = await client.metric(closed(service, outcome));
      // The world refuses what it has no way to.
      t.regex(await client.curl(url), RESET, url);
      t.is(await client.metric(closed(service, outcome)), before + 1, url);
    }
  });

  test.serial('excluded ports and addresses do not pass the sidecar', async (t) => {
    const careful = await mesh.pod('careful');
    const exclude = { ports: ['8081', '9000-9010'], cidrs: [`${two.ipv4}/32`, 'fd77::/16'] };
    await careful.inject(mesh.bootstrap({ interception: { outbound: { exclude } } }));
    for (const port of [8081, 9005]) await world.ask('serve', { kind: 'name', port, name: String(port) });
    for (const url of [
      'http://203.0.113.5:8081',
      'http://203.0.113.5:9005',
      `http://${two.ipv4}:8080`,
      `http://[${one.ipv6}]:8080`,
    ]) {
      t.notRegex(await careful.curl(url), /^curl/u, url);
    }
    t.is(await careful.metric(PASSED), 0);
    t.regex(await careful.curl(`http://${one.ipv4}:8080`), /^one /u);
    t.is(await careful.metric(PASSED), 1);
  });

  test.serial(
    'a connection may rest for longer than the idle time; one whose peer is gone is cut',
    async (t) => {
      const patient = await mesh.pod('patient');
      await patient.inject(mesh.bootstrap({ limits: { idleTimeoutMs: 2_000 } }));
      const id = await patient.ask('open', { host: '10.96.0.14', port: 25 });
      await patient.ask('say', { id, text: '' });
      await delay(8_000);
      t.is(await patient.ask('say', { id, text: 'still there?' }), '250 still there?');
      const ending = patient.ask('ending', { id });
      await one.at.must('ip', 'link', 'set', 'eth0', 'down');
      t.is(await ending, 'ECONNRESET');
      await one.at.must('ip', 'link', 'set', 'eth0', 'up');
      await one.at.must('ip', 'route', 'replace', 'default', 'via', mesh.network.world.ipv4);
    },
  );
}

function closed(service: string, outcome: string): string {
  return `cortexflow_tcp_connections_closed_total{direction="outbound",service="${service}",outcome="${outcome}"}`;
}

function openedLines(metrics: string): string {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith('cortexflow_tcp_connections_opened_total'))
    .join('\n');
}
