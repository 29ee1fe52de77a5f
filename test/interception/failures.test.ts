import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { until } from '../until.ts';
import { Mesh, type ServiceSpec } from './mesh.ts';
import { type Pod, PROXY_UID } from './pod.ts';
import { skipped } from './skipped.ts';

// What the workload sees while a part of the mesh is away.

const REFUSED = 'curl 7';
const WITHOUT = 'without a control plane: connections pass through to the addresses that were asked for';

interface Setting {
  readonly mesh: Mesh;
  readonly client: Pod;
  readonly server: Pod;
  readonly other: Pod;
  readonly hello: ServiceSpec;
}

/** A network of its own for each: what fails here would disturb the others. */
async function setUp(t: ExecutionContext, label: string): Promise<Setting> {
  const mesh = await Mesh.create(label);
  t.teardown(() => mesh.remove());
  const [client, server, other] = await Promise.all([
    mesh.pod('client'),
    mesh.pod('server'),
    mesh.pod('other'),
  ]);
  for (const [name, pod] of Object.entries({ client, server, other })) {
    await pod.ask('serve', { kind: 'name', port: 8080, name });
    await pod.ask('serve', { kind: 'greeting', port: 2525, name });
  }
  const hello = {
    name: 'hello',
    clusterIps: ['10.96.0.10', 'fd96::10'],
    port: 80,
    targetPort: 8080,
    pods: [server, other],
  };
  mesh.write(hello);
  // A node's own balancing, which knows one of the two.
  await mesh.kubeProxy('10.96.0.10', 80, [{ pod: server, port: 8080 }]);
  return { mesh, client, server, other, hello };
}

async function names(pod: Pod, url: string, count = 20): Promise<string[]> {
  const answers = new Set<string>();
  for (let asked = 0; asked < count; asked += 1) answers.add((await pod.curl(url)).split(' ')[0] ?? '');
  return [...answers].toSorted();
}

if (!skipped(test)) {
  test.serial(
    'no control plane: ready in pass-through after a while, and it joins when there is one',
    async (t) => {
      const { mesh, client } = await setUp(t, 'late');
      const document = mesh.bootstrap({
        controlPlane: { addresses: [mesh.controlPlane], waitMs: 1_500 },
      });
      t.is((await client.proxyInit(document)).code, 0);
      const sidecar = client.startSidecar(document);
      await sidecar.serving();
      t.regex(await client.readyz(), /^not ready: waiting for the Services of the mesh/u);
      await client.ready();
      t.is(await client.readyz(), `ready\n${WITHOUT}\n`);
      t.is(await client.metric('cortexflow_ready_without_control_plane'), 1);
      t.truthy(
        sidecar.log.find(({ level, message }) => level === 'warn' && message.startsWith('Ready without')),
      );
      t.deepEqual(await names(client, 'http://10.96.0.10', 5), ['server']);

      await mesh.startControlPlane();
      await until(
        "the client's sidecar is ready",
        () => client.readyz(),
        (text) => text === 'ready\n',
      );
      t.is(await client.metric('cortexflow_ready_without_control_plane'), 0);
      t.deepEqual(await names(client, 'http://10.96.0.10'), ['other', 'server']);
    },
  );

  test.serial('where a control plane is required, the pod waits for it', async (t) => {
    const { mesh, client } = await setUp(t, 'required');
    const document = mesh.bootstrap({
      controlPlane: { addresses: [mesh.controlPlane], waitMs: 200, required: true },
    });
    t.is((await client.proxyInit(document)).code, 0);
    await client.startSidecar(document).serving();
    await delay(1_500);
    t.regex(await client.readyz(), /^not ready/u);
    await mesh.startControlPlane();
    await until(
      "the client's sidecar is ready",
      () => client.readyz(),
      (text) => text === 'ready\n',
    );
  });

  test.serial(
    'a Service that is first named while the control plane is away passes through, counted and logged',
    async (t) => {
      const { mesh, client } = await setUp(t, 'away');
      await mesh.startControlPlane();
      const sidecar = await client.inject(mesh.bootstrap());
      await mesh.stopControlPlane();
      await sidecar.line(({ message }) => /^(Lost|Could not connect to) the control plane/u.test(message));
      t.deepEqual(await names(client, 'http://10.96.0.10', 4), ['server']);
      const labels = '{direction="outbound",service="demo/hello"}';
      t.is(await client.metric(`cortexflow_tcp_connections_passed_through_total${labels}`), 4);
      t.is(await client.metric(`cortexflow_tcp_connections_opened_total${labels}`), 4);
      t.truthy(sidecar.log.find(({ message }) => message.startsWith('Passed a connection through')));

      await mesh.startControlPlane();
      await until(
        'answers of both servers',
        () => names(client, 'http://10.96.0.10', 10),
        ({ length }) => length === 2,
      );
      t.pass();
    },
  );

  test.serial(
    'passed through, a connection to an endpoint that has ended, which kube-proxy still knows, is tried again',
    async (t) => {
      const { mesh, client, server, other } = await setUp(t, 'ended');
      const address = '10.96.0.11';
      mesh.write({ name: 'rolled', clusterIps: [address], port: 80, targetPort: 8080, pods: [server] });
      await mesh.startControlPlane();
      const sidecar = await client.inject(mesh.bootstrap());
      await mesh.stopControlPlane();
      await sidecar.line(({ message }) => /^(Lost|Could not connect to) the control plane/u.test(message));
      await mesh.kubeProxy(address, 80, [
        { pod: other, port: 9 },
        { pod: server, port: 8080 },
      ]);
      for (let asked = 0; asked < 5; asked++) t.regex(await client.curl(`http://${address}`), /^server /u);
      const labels = '{direction="outbound",service="demo/rolled"}';
      t.is(await client.metric(`cortexflow_tcp_connections_passed_through_total${labels}`), 5);
    },
  );

  test.serial('restarted while the control plane is away, the sidecar balances from disk', async (t) => {
    const { mesh, client } = await setUp(t, 'disk');
    await mesh.startControlPlane();
    const folder = mkdtempSync(join(tmpdir(), 'cortexflow-state-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    await client.at.must('chown', `${PROXY_UID}`, folder);
    const lastGoodFile = join(folder, 'last-good.json');
    const document = mesh.bootstrap({ lastGoodFile });
    const sidecar = await client.inject(document);
    t.deepEqual(await names(client, 'http://10.96.0.10'), ['other', 'server']);
    t.is(await sidecar.end('SIGTERM'), 0);
    t.true(existsSync(lastGoodFile));
    await mesh.stopControlPlane();

    t.is((await client.proxyInit(document)).code, 0);
    await client.startSidecar(document).serving();
    t.is(await client.readyz(), 'ready\n');
    t.deepEqual(await names(client, 'http://10.96.0.10'), ['other', 'server']);
  });

  test.serial(
    'a sidecar that was killed: everything is refused and nothing goes around it, until it is back',
    async (t) => {
      const { mesh, client, server } = await setUp(t, 'killed');
      await mesh.startControlPlane();
      const document = mesh.bootstrap();
      const sidecar = await client.inject(document);
      const id = await client.ask('open', { host: server.ipv4, port: 2525 });
      await client.ask('say', { id, text: '' });
      t.is(await sidecar.end('SIGKILL'), 'SIGKILL');
      t.regex(await client.ask('ending', { id }), /^(?:ECONNRESET|end)$/u);
      t.is(await client.curl('http://10.96.0.10'), REFUSED);
      t.is(await client.curl(`http://${server.ipv4}:8080`), REFUSED);
      t.is(await client.curl(`http://[${server.ipv6}]:8080`), REFUSED);
      t.is(await server.curl(`http://${client.ipv4}:8080`), REFUSED);
      t.regex(await client.curl('http://127.0.0.1:8080'), /^client /u);

      client.startSidecar(document);
      await client.ready();
      t.deepEqual(await names(client, 'http://10.96.0.10'), ['other', 'server']);
      t.regex(await server.curl(`http://${client.ipv4}:8080`), /^client /u);
    },
  );

  test.serial('told to end with nothing open, it ends at once', async (t) => {
    const { mesh, client } = await setUp(t, 'idle');
    await mesh.startControlPlane();
    const sidecar = await client.inject(mesh.bootstrap({ drainMs: 86_400_000 }));
    t.is(await sidecar.end('SIGTERM'), 0);
  });

  test.serial(
    'told to end, it takes nothing new from outside, and the workload may go on until it is done',
    async (t) => {
      const { mesh, client, server } = await setUp(t, 'drain');
      await mesh.startControlPlane();
      const sidecar = await client.inject(mesh.bootstrap());
      const id = await client.ask('open', { host: server.ipv4, port: 2525 });
      await client.ask('say', { id, text: '' });
      const ended = sidecar.end('SIGTERM');
      await until(
        "connections to the client's port are refused",
        () => server.curl(`http://${client.ipv4}:8080`),
        (answer) => answer === REFUSED,
      );
      t.regex(await client.curl('http://10.96.0.10'), /^(?:server|other) /u);
      t.is(await client.ask('say', { id, text: 'bye\n' }), '250 bye\n');
      await client.ask('close', { id });
      t.is(await ended, 0);
      t.is(await client.curl('http://10.96.0.10'), REFUSED);
    },
  );

  test.serial(
    'told to end, it does not wait for a peer that leaves open what the workload has closed',
    async (t) => {
      const { mesh, client, server } = await setUp(t, 'linger');
      await mesh.startControlPlane();
      const sidecar = await client.inject(mesh.bootstrap({ drainMs: 86_400_000 }));
      const id = await server.ask('open', { host: client.ipv4, port: 2525 });
      await server.ask('say', { id, text: '' });
      await client.ask('closeAll', { port: 2525 });
      t.is(await server.ask('ending', { id }), 'end');
      t.is(await sidecar.end('SIGTERM'), 0);
    },
  );

  test.serial('a sidecar that runs as somebody else says so and does not start', async (t) => {
    const { mesh, client } = await setUp(t, 'uid');
    const document = mesh.bootstrap({ interception: { proxyUid: 2103 } });
    const sidecar = client.startSidecar(document);
    t.is(await sidecar.exited(), 1);
    t.regex(
      sidecar.log.at(-1)!.message,
      /^The sidecar runs as user 2102, and interception spares the connections of user 2103: /u,
    );
  });

  test.serial('a pod without IPv6', async (t) => {
    const { mesh, client } = await setUp(t, 'four');
    await mesh.startControlPlane();
    await client.at.must(
      'sysctl',
      '-qw',
      'net.ipv6.conf.all.disable_ipv6=1',
      'net.ipv6.conf.lo.disable_ipv6=1',
    );
    await client.inject(mesh.bootstrap());
    t.deepEqual(await names(client, 'http://10.96.0.10'), ['other', 'server']);
    await client.ask('stop', { port: 8080 });
    await client.ask('serve', { kind: 'name', port: 8080, host: '0.0.0.0', name: 'client' });
    t.regex(await mesh.network.world.must('curl', '-s', `http://${client.ipv4}:8080`), /^client /u);
  });
}
