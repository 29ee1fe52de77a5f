/** The control plane on a real API server, as the ServiceAccount that it has in a cluster. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { parseAllDocuments } from 'yaml';
import { connectApiServer } from '../../api-server/connection.ts';
import { REAL_WORLD } from '../../api-server/world.ts';
import { KubernetesSource } from '../../control-plane/kubernetes/source.ts';
import { obstaclesOf } from '../../control-plane/kubernetes/staleness.ts';
import { createLogger } from '../../process/log.ts';
import { ENDPOINTS_TYPE_URL, NODE_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { compact, remove } from './etcd.ts';
import { type Program, start as startProgram } from '../system/programs.ts';
import { until, within } from '../until.ts';
import { type DeltaStream, deltaStream } from '../xds/client.ts';

const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);
const ROLE = fileURLToPath(new URL('../../k8s/base/control-plane/rbac.yaml', import.meta.url));

async function startServer(t: ExecutionContext): Promise<TestApiServer> {
  const server = await startApiServer();
  t.teardown(() => server.stop());
  await server.createNamespace('cortexflow');
  await apply(server, readFileSync(ROLE, 'utf8'));
  return server;
}

async function apply(server: TestApiServer, documents: string): Promise<void> {
  const { code, stderr } = await server.kubectl(['apply', '--server-side', '-f', '-'], documents);
  if (code !== 0) throw new Error(stderr);
}

const MESH = `
apiVersion: v1
kind: Service
metadata: { name: hello, namespace: demo }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: of-another, namespace: demo, labels: { service.kubernetes.io/service-proxy-name: another } }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: hello-1, namespace: demo, labels: { kubernetes.io/service-name: hello } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints:
  - { addresses: [10.0.0.1], nodeName: node-a, targetRef: { kind: Pod, name: hello-1, namespace: demo } }
---
apiVersion: v1
kind: Pod
metadata: { name: hello-1, namespace: demo, labels: { cortexflow.io/injected: 'true' } }
spec: { containers: [{ name: app, image: app }] }
---
apiVersion: v1
kind: Node
metadata: { name: node-a, labels: { topology.kubernetes.io/zone: east } }
`;

/** What the kubelet gives to a pod: environment variables, and a directory with a token. */
async function inPod(t: ExecutionContext, server: TestApiServer): Promise<Record<string, string>> {
  const directory = mkdtempSync(join(tmpdir(), 'cortexflow-service-account-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const { token, certificateAuthority } = await server.accessFor('control-plane', 'cortexflow');
  writeFileSync(join(directory, 'token'), token);
  writeFileSync(join(directory, 'ca.crt'), readFileSync(certificateAuthority));
  const { hostname, port } = new URL(server.url);
  return {
    KUBERNETES_SERVICE_HOST: hostname,
    KUBERNETES_SERVICE_PORT: port,
    CORTEXFLOW_SERVICE_ACCOUNT_DIRECTORY: directory,
  };
}

async function outside(server: TestApiServer): Promise<Record<string, string>> {
  return { KUBECONFIG: await server.kubeconfigFor('control-plane', 'cortexflow') };
}

function startControlPlane(t: ExecutionContext, environment: Record<string, string>): Program {
  return startProgram(t, {
    file: 'control-plane/main.ts',
    environment: {
      CORTEXFLOW_SOURCE: 'kubernetes',
      ...environment,
      CORTEXFLOW_XDS_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_DRAIN_MS: '100',
    },
  });
}

async function page(controlPlane: Program, path: string): Promise<string> {
  const { admin } = await controlPlane.serving();
  return (await fetch(`http://${admin as string}${path}`)).text();
}

/** The sum of a metric over all its labels. */
async function metric(controlPlane: Program, name: string): Promise<number> {
  const lines = (await page(controlPlane, '/metrics')).split('\n');
  return lines
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** A client that wants all there is, and acknowledges. */
class Client {
  /** What it holds: versions by name. */
  readonly held = new Map<string, string>();
  readonly #stream: DeltaStream;

  constructor(t: ExecutionContext, address: string) {
    this.#stream = deltaStream(address);
    t.teardown(() => this.#stream.close());
    const node = { id: 'a-test' };
    this.#stream.send({ node, typeUrl: SERVICE_TYPE_URL });
    this.#stream.send({ typeUrl: NODE_TYPE_URL, resourceNamesSubscribe: ['node-a'] });
    this.#stream.send({ typeUrl: ENDPOINTS_TYPE_URL, resourceNamesSubscribe: ['demo/hello/*'] });
  }

  get responses(): number {
    return this.#stream.received.length;
  }

  get names(): string {
    return [...this.held.keys()].toSorted().join(' ');
  }

  /** Takes responses until it holds, and acknowledges each. */
  async until(what: string, holds: () => boolean): Promise<void> {
    while (!holds()) {
      const { typeUrl, nonce, resources, removedResources } = await within(what, this.#stream.next());
      for (const { name, version } of resources) this.held.set(name, version);
      for (const name of removedResources) this.held.delete(name);
      this.#stream.send({ typeUrl, responseNonce: nonce });
    }
  }
}

/** The API server has a Service of its own. */
const ALL = 'default/kubernetes demo/hello demo/hello/hello-1 demo/of-another node-a';
const SLICE = 'demo/hello/hello-1';

async function startAll(t: ExecutionContext, replicas: number) {
  const server = await startServer(t);
  await server.createNamespace('demo');
  await apply(server, MESH);
  const environments = [await inPod(t, server), await outside(server)].slice(0, replicas);
  const started = environments.map(async (environment) => {
    const controlPlane = startControlPlane(t, environment);
    const { xds } = await controlPlane.serving();
    const client = new Client(t, xds as string);
    await client.until('all resources', () => client.names === ALL);
    return { controlPlane, client };
  });
  return { server, replicas: await Promise.all(started) };
}

testWithServer(
  'with exactly its role it serves what there is and what changes, as all its replicas do',
  async (t) => {
    const { server, replicas } = await startAll(t, 2);
    const [one, other] = replicas.map(({ client }) => client) as [Client, Client];
    t.deepEqual(one.held, other.held);
    for (const { controlPlane } of replicas) {
      t.is(await page(controlPlane, '/readyz'), 'ready\n');
      t.is(await metric(controlPlane, 'cortexflow_kubernetes_objects'), 6);
      t.is(await metric(controlPlane, 'cortexflow_kubernetes_errors_total'), 0);
      t.is(await metric(controlPlane, 'cortexflow_rejected_objects'), 0);
    }

    const before = one.held.get(SLICE);
    await apply(server, MESH.replace('10.0.0.1', '10.0.0.2'));
    await server.kubectl(['delete', 'node', 'node-a']);
    for (const client of [one, other]) {
      await client.until(
        'node-a is gone and the slice changed',
        () => !client.held.has('node-a') && client.held.get(SLICE) !== before,
      );
    }
    t.deepEqual(one.held, other.held);
  },
);

testWithServer(
  'the API server gone: what is known stands, nothing is pushed, and nothing when it is back and nothing changed',
  async (t) => {
    const { server, replicas } = await startAll(t, 1);
    const { controlPlane, client } = replicas[0]!;
    const responses = client.responses;
    const pushes = await metric(controlPlane, 'cortexflow_xds_pushes_total');
    const settled = async (): Promise<void> => {
      t.is(client.responses, responses);
      t.is(await metric(controlPlane, 'cortexflow_xds_pushes_total'), pushes);
    };

    // The cluster goes on, elsewhere: an API server that starts anew knows no version from before that.
    await server.kubectl(['create', 'configmap', 'elsewhere']);
    await server.stopServer();
    const problem =
      /^ready\nwhat is served may be out of date, .* Service \d+ s, EndpointSlice \d+ s, Pod \d+ s, Node \d+ s ago; this program cannot watch services: connect ECONNREFUSED/;
    await until(
      '/readyz names the problem',
      () => page(controlPlane, '/readyz'),
      (text) => problem.test(text),
    );
    t.true((await metric(controlPlane, 'cortexflow_kubernetes_staleness_seconds')) > 0);
    await settled();
    const late = new Client(t, (await controlPlane.serving())['xds'] as string);
    await late.until('all resources', () => late.names === ALL);
    t.deepEqual(late.held, client.held);

    await server.startServer();
    await until(
      '/readyz is ready again',
      () => page(controlPlane, '/readyz'),
      (text) => text === 'ready\n',
    );
    await until(
      'a list that is taken again',
      () => metric(controlPlane, 'cortexflow_kubernetes_relists_total'),
      (relists) => relists > 0,
    );
    t.is(client.responses, responses);

    const before = client.held.get(SLICE);
    await apply(server, MESH.replace('10.0.0.1', '10.0.0.2'));
    await client.until('the slice changed', () => client.held.get(SLICE) !== before);
    t.is(client.responses, responses + 1);
  },
);

testWithServer('what vanished while nobody looked is taken away, and only that', async (t) => {
  const { server, replicas } = await startAll(t, 1);
  const { controlPlane, client } = replicas[0]!;
  await server.stopServer();
  await remove(server, 'minions/node-a');
  await compact(server);
  await server.startServer();
  await client.until('node-a is gone', () => !client.held.has('node-a'));
  t.is(client.names, ALL.replace(' node-a', ''));
  t.is(await metric(controlPlane, 'cortexflow_kubernetes_objects'), 5);
});

interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

testWithServer('each permission of the role is needed, and the one that is missing is named', async (t) => {
  const server = await startServer(t);
  const kubeconfig = await server.kubeconfigFor('control-plane', 'cortexflow');
  const role = parseAllDocuments(readFileSync(ROLE, 'utf8'))
    .map((document) => document.toJS() as { kind: string; rules: readonly Rule[] })
    .find(({ kind }) => kind === 'ClusterRole')!;
  const permissions = role.rules.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => ({ resource, verb }))),
  );
  t.is(permissions.length, 8);
  for (const { resource, verb } of permissions) {
    const rules = role.rules.flatMap((rule) => without(rule, resource, verb));
    const { code, stderr } = await server.kubectl(['replace', '-f', '-'], JSON.stringify({ ...role, rules }));
    t.is(code, 0, stderr);
    t.regex(
      await firstObstacle(kubeconfig),
      new RegExp(`^may not ${verb} ${resource}\\b.*: allow ${verb} on it`),
    );
  }
});

function without(rule: Rule, resource: string, verb: string): readonly Rule[] {
  if (!rule.resources.includes(resource)) return [rule];
  return [
    { ...rule, resources: rule.resources.filter((other) => other !== resource) },
    { ...rule, resources: [resource], verbs: rule.verbs.filter((other) => other !== verb) },
  ].filter(({ resources, verbs }) => resources.length > 0 && verbs.length > 0);
}

/** What a source says first that it cannot do; it must not be synced then. */
async function firstObstacle(kubeconfig: string): Promise<string> {
  const api = await connectApiServer({ lookup: () => kubeconfig });
  const listener = { onEvents: () => {}, onSynced: () => {} };
  const logger = createLogger({
    format: 'json',
    level: () => 'error',
    write: () => {},
    now: () => new Date(),
  });
  const world = { ...REAL_WORLD, random: () => 0.05 };
  const source = new KubernetesSource({ api, listener, logger, world });
  try {
    const [first] = await until(
      'an obstacle that names the missing permission',
      async () => obstaclesOf(source.states),
      ([sentence = '']) => sentence.startsWith('may not'),
    );
    return first!;
  } finally {
    source.close();
    api.close();
  }
}
