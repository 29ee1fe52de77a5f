import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import test from 'ava';
import { type Answer, mustCall } from '../cluster/api-client.ts';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { Authority } from '../cluster/certificates.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { until } from '../until.ts';
import { build, type Kustomization } from './kustomize.ts';
import { find } from './manifest.ts';

const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);

/** Whom the API server asks about which pod, with every webhook's address turned to one that only listens. */
let server: TestApiServer;
let listener: Server;
let caBundle: string;
let asked: string[] = [];

test.before(async () => {
  if (whyNoApiServer() !== undefined) return;
  server = await startApiServer();
  const authority = await Authority.create(join(server.directory, 'webhook'));
  const { certificate, key } = await authority.issue('webhook', {
    commonName: 'webhook',
    ipAddresses: ['127.0.0.1'],
  });
  caBundle = Buffer.from(authority.certificatePem).toString('base64');
  listener = createServer(
    { cert: readFileSync(certificate), key: readFileSync(key) },
    (request, response) => {
      asked.push(new URL(request.url ?? '', 'https://webhook').pathname.slice(1));
      response.setHeader('content-type', 'application/json');
      void json(request).then((review) => response.end(allow(review)));
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  await server.createNamespace('plain');
  await server.createNamespace('enabled', { 'proxy-injection': 'enabled' });
  await server.createNamespace('disabled', { 'proxy-injection': 'disabled' });
  await server.createNamespace('cortexflow', { 'proxy-injection': 'enabled' });
  for (const name of ['kube-system', 'kube-public', 'kube-node-lease']) {
    await mustCall(server.admin, {
      method: 'PATCH',
      path: `/api/v1/namespaces/${name}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { 'proxy-injection': 'enabled' } } },
    });
    await server.createServiceAccount('default', name);
  }
});

test.after.always(async () => {
  listener?.closeAllConnections();
  listener?.close();
  await server?.stop();
});

function allow(review: unknown): string {
  const { uid } = (review as { request: { uid: string } }).request;
  const response = { uid, allowed: true };
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
}

/** The webhooks of this kustomization in force, all of them at this port of loopback. */
async function configure(kustomization: Kustomization, port: number): Promise<void> {
  const built = find(await build(kustomization), 'MutatingWebhookConfiguration', 'cortexflow-injector');
  const webhooks = built.webhooks.map((webhook) =>
    Object.assign({}, webhook, {
      clientConfig: { url: `https://127.0.0.1:${port}/${webhook.name}`, caBundle },
    }),
  );
  await server.kubectl(['delete', '--ignore-not-found', 'mutatingwebhookconfiguration', built.metadata.name]);
  // The API server learns of it a little later than the one who wrote it.
  await until(
    'the webhooks of before are gone',
    () => ask('enabled'),
    ({ length }) => length === 0,
  );
  const { code, stderr } = await server.kubectl(
    ['create', '-f', '-'],
    JSON.stringify({ ...built, webhooks }),
  );
  if (code !== 0) throw new Error(stderr);
}

interface PodWishes {
  readonly labels?: Readonly<Record<string, string>>;
  readonly hostNetwork?: boolean;
}

function create(namespace: string, { labels = {}, hostNetwork = false }: PodWishes = {}): Promise<Answer> {
  const spec = { hostNetwork, containers: [{ name: 'main', image: 'example.invalid/none' }] };
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', labels }, spec };
  return server.call({ method: 'POST', path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`, body });
}

/** The webhooks that are asked about such a pod, which is created whatever they are. */
async function ask(namespace: string, wishes?: PodWishes): Promise<string[]> {
  asked = [];
  const { status, body } = await create(namespace, wishes);
  return status === 201 ? asked : [JSON.stringify(body)];
}

const KEPT_OUT = ['kube-system', 'kube-public', 'kube-node-lease'];
const COMPONENT = { labels: { 'cortexflow.io/component': 'injector' } };
const ENABLED = { labels: { 'proxy-injection': 'enabled' } };
const DISABLED = { labels: { 'proxy-injection': 'disabled' } };

const portOf = (): number => (listener.address() as AddressInfo).port;

testWithServer(
  "by default every pod is shown to the injector, but for the cluster's and the mesh's own",
  async (t) => {
    await configure('.', portOf());
    await until(
      'the webhooks are called',
      () => ask('enabled'),
      ({ length }) => length > 0,
    );
    for (const namespace of ['plain', 'enabled', 'disabled']) {
      t.deepEqual(await ask(namespace), ['inject.cortexflow.io'], namespace);
      t.deepEqual(await ask(namespace, COMPONENT), ['inject.cortexflow.io'], namespace);
    }
    t.deepEqual(await ask('cortexflow'), ['inject.cortexflow.io']);
    t.deepEqual(await ask('cortexflow', COMPONENT), []);
    for (const namespace of KEPT_OUT) t.deepEqual(await ask(namespace, ENABLED), [], namespace);
  },
);

testWithServer('opt-in: only what is labelled is shown, and once', async (t) => {
  await configure('overlays/opt-in', portOf());
  await until(
    'the webhooks are called',
    () => ask('enabled'),
    ({ length }) => length > 0,
  );
  t.deepEqual(await ask('enabled'), ['inject.cortexflow.io']);
  t.deepEqual(await ask('enabled', ENABLED), ['inject.cortexflow.io']);
  for (const namespace of ['plain', 'disabled']) {
    t.deepEqual(await ask(namespace), [], namespace);
    t.deepEqual(await ask(namespace, ENABLED), ['inject-pod.cortexflow.io'], namespace);
  }
  t.deepEqual(await ask('cortexflow', COMPONENT), []);
  t.deepEqual(await ask('cortexflow', { labels: { ...ENABLED.labels, ...COMPONENT.labels } }), []);
  for (const namespace of KEPT_OUT) t.deepEqual(await ask(namespace, ENABLED), [], namespace);
});

testWithServer('fail-closed: the promise is for labelled namespaces, and once', async (t) => {
  await configure('overlays/fail-closed', portOf());
  await until(
    'the webhooks are called',
    () => ask('enabled'),
    ({ length }) => length > 0,
  );
  t.deepEqual(await ask('enabled'), ['inject-or-refuse.cortexflow.io']);
  for (const namespace of ['plain', 'disabled']) {
    t.deepEqual(await ask(namespace), ['inject.cortexflow.io'], namespace);
  }
  t.deepEqual(await ask('enabled', COMPONENT), ['inject-or-refuse.cortexflow.io']);
  t.deepEqual(await ask('cortexflow', COMPONENT), []);
});

testWithServer(
  'fail-closed, no injector: labelled namespaces get no pod, but for those that nothing may stop',
  async (t) => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));

    await configure('overlays/fail-closed', port);
    await until(
      'the pod is refused',
      async () => (await create('enabled')).status,
      (code) => code !== 201,
    );
    const { status, body } = await create('enabled');
    t.is(status, 500);
    t.regex(
      (body as { message: string }).message,
      /failed calling webhook "inject-or-refuse\.cortexflow\.io"/u,
    );
    for (const namespace of ['plain', 'disabled']) t.is((await create(namespace)).status, 201, namespace);
    t.is((await create('enabled', COMPONENT)).status, 500);
    t.is((await create('cortexflow', COMPONENT)).status, 201);
    for (const wishes of [DISABLED, { hostNetwork: true }]) {
      t.is((await create('enabled', wishes)).status, 201, JSON.stringify(wishes));
    }
    for (const namespace of KEPT_OUT) t.is((await create(namespace)).status, 201, namespace);
  },
);
