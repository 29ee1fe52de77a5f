import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { call } from './api-client.ts';
import { startApiServer, type TestApiServer, whyNoApiServer } from './api-server.ts';
import type { Output } from './command.ts';
import { until } from '../until.ts';
import { testThatNeeds } from './requirement.ts';

// One after the other: each server takes a quarter of a gigabyte, and seconds of a processor.
const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

testWithServer('two serve side by side and know nothing of one another', async (t) => {
  const [first, second] = await Promise.all([undisturbed(), start(t)]);
  await write(first, 'only-here');
  t.is((await first.call({ method: 'GET', path: `${CONFIG_MAPS}/only-here` })).status, 200);
  t.is((await second.call({ method: 'GET', path: `${CONFIG_MAPS}/only-here` })).status, 404);
});

testWithServer('a ServiceAccount may do what its role says and no more', async (t) => {
  const server = await undisturbed();
  await server.createNamespace('team');
  await server.createServiceAccount('reader', 'team');
  const kubeconfig = await server.kubeconfigFor('reader', 'team');
  const list = (): Promise<Output> => server.kubectl([`--kubeconfig=${kubeconfig}`, 'get', 'services']);

  const refused = await list();
  t.is(refused.code, 1);
  t.regex(refused.stderr, /User "system:serviceaccount:team:reader" cannot list resource "services"/);

  const granted = await server.kubectl(['apply', '-f', '-'], role('reader', 'team', 'services'));
  t.is(granted.code, 0, granted.stderr);
  t.is((await list()).code, 0);
});

testWithServer('a pod is admitted as in a cluster, with its token mounted', async (t) => {
  const server = await undisturbed();
  await server.createNamespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' });
  const created = await server.kubectl(['create', '-o', 'json', '-f', '-'], pod('one', 'default'));
  t.is(created.code, 0, created.stderr);
  t.regex(created.stdout, /kube-api-access/);
  const refused = await server.kubectl(['create', '-f', '-'], pod('two', 'restricted'));
  t.regex(refused.stderr, /violates PodSecurity "restricted:latest"/);
});

testWithServer('objects outlive a crash of etcd and of the API server, at the same address', async (t) => {
  const server = await start(t);
  await write(server, 'kept');
  await server.stopEtcd();
  await server.stopServer();
  await t.throwsAsync(() => call(server.admin, { method: 'GET', path: '/readyz' }), { code: 'ECONNREFUSED' });
  await server.startEtcd();
  await server.startServer();
  t.is((await server.call({ method: 'GET', path: `${CONFIG_MAPS}/kept` })).status, 200);
});

testWithServer('a paused API server says nothing until it is resumed', async (t) => {
  const server = await start(t);
  server.pause();
  const answer = server.call({ method: 'GET', path: CONFIG_MAPS });
  t.is(await Promise.race([answer.then(() => 'answered'), delay(300, 'silent')]), 'silent');
  server.resume();
  t.is((await answer).status, 200);
});

testWithServer('stopping it leaves neither a process nor a file', async (t) => {
  const server = await startApiServer();
  t.is(processesOf(server.directory).length, 2);
  await server.stop();
  t.deepEqual(processesOf(server.directory), []);
  t.false(existsSync(server.directory));
});

testWithServer('killing the process that started it ends it, too', async (t) => {
  const module = fileURLToPath(new URL('./api-server.ts', import.meta.url));
  const script = `
    import { startApiServer } from ${JSON.stringify(module)};
    console.log((await startApiServer()).directory);
    setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => starter.kill('SIGKILL'));
  const directory = await firstLine(starter);
  t.is(processesOf(directory).length, 2);
  const exit = once(starter, 'exit');
  starter.kill('SIGKILL');
  await exit;
  await until(
    'the processes of the API server have ended',
    () => processesOf(directory),
    ({ length }) => length === 0,
  );
  // Its files are removed by whoever starts the next one.
  await start(t);
  t.false(existsSync(directory));
});

let shared: Promise<TestApiServer> | undefined;
test.after.always(async () => (await shared)?.stop());

/** One for all tests that only add objects of their own. */
function undisturbed(): Promise<TestApiServer> {
  shared ??= startApiServer();
  return shared;
}

async function start(t: ExecutionContext): Promise<TestApiServer> {
  const server = await startApiServer();
  t.teardown(() => server.stop());
  return server;
}

function pod(name: string, namespace: string): string {
  const spec = { containers: [{ name: 'app', image: 'app' }] };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec });
}

async function write(server: TestApiServer, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
  await server.call({ method: 'POST', path: CONFIG_MAPS, body });
}

function role(account: string, namespace: string, resource: string): string {
  const rbac = 'rbac.authorization.k8s.io';
  const metadata = { name: account, namespace };
  const items = [
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata,
      rules: [{ apiGroups: [''], resources: [resource], verbs: ['list'] }],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name: account },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
    },
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** Processes that name the directory on their command line. */
function processesOf(directory: string): readonly string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${directory}/`);
    } catch {
      return false;
    }
  });
}

async function firstLine(process: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: process.stdout! }), 'line')) as [string];
  return line;
}
