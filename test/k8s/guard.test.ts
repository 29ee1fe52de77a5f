import { readFileSync } from 'node:fs';
import test from 'ava';
import { type Access, type Answer, call } from '../cluster/api-client.ts';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { until } from '../until.ts';
import { buildFiles } from './kustomize.ts';

// What k8s/components/guard forbids, and to whom, by the API server that enforces it.

const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);

const KUSTOMIZATION = `
resources: [../cortexflow/k8s/overlays/fail-closed]
components: [../cortexflow/k8s/components/guard]
`;
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cortexflow-injector';

/** May do in the namespace what a team may do in its own, and nothing elsewhere. */
const EDITOR = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: { name: 'editor', namespace: 'cortexflow' },
  rules: [{ apiGroups: ['', 'apps', 'batch'], resources: ['*'], verbs: ['*'] }],
};
const EDITOR_BINDING = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'editor', namespace: 'cortexflow' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'editor' },
  subjects: [{ kind: 'ServiceAccount', name: 'editor', namespace: 'cortexflow' }],
};

let server: TestApiServer;
let injector: Access;
let editor: Access;
let caBundle: string;

test.before(async () => {
  if (whyNoApiServer() !== undefined) return;
  server = await startApiServer();
  const manifests = await buildFiles({ 'kustomization.yaml': KUSTOMIZATION });
  const items = [...manifests, EDITOR, EDITOR_BINDING];
  const { code, stderr } = await server.kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
  if (code !== 0) throw new Error(stderr);
  await server.createServiceAccount('default', 'cortexflow');
  await server.createServiceAccount('editor', 'cortexflow');
  [injector, editor] = await Promise.all([
    server.accessFor('injector', 'cortexflow'),
    server.accessFor('editor', 'cortexflow'),
  ]);
  caBundle = readFileSync(server.admin.certificateAuthority).toString('base64');
  // The API server learns of its policies a little later than the one who wrote them.
  await until(
    'the policy for configurations is in force',
    () => patch(injector, OTHER_POLICY),
    ({ status }) => status === 422,
  );
  await until(
    'the policy for pods is in force',
    () => create(editor, 'pods', pod(LABELLED)),
    ({ status }) => status === 422,
  );
});
test.after.always(() => server?.stop());

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

const OTHER_POLICY: Operation = { op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Fail' };

/** Nothing is kept of it. */
function patch(access: Access, ...body: readonly Operation[]): Promise<Answer> {
  const contentType = 'application/json-patch+json';
  return call(access, { method: 'PATCH', path: `${WEBHOOKS}?dryRun=All`, body, contentType });
}

/** In the namespace of the mesh; nothing is kept of it. */
function create(access: Access, kind: string, body: object): Promise<Answer> {
  const group = kind === 'pods' ? '/api/v1' : `/apis/${kind === 'cronjobs' ? 'batch' : 'apps'}/v1`;
  return call(access, {
    method: 'POST',
    path: `${group}/namespaces/cortexflow/${kind}?dryRun=All`,
    body,
  });
}

interface PodWishes {
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: object;
  readonly container?: object;
}

function pod({ labels = {}, spec = {}, container = {} }: PodWishes): object {
  const main = { name: 'main', image: 'example.invalid/none', ...container };
  return {
    metadata: { name: 'pod', labels: { app: 'x', ...labels } },
    spec: { containers: [main], ...spec },
  };
}

/** A controller of pods, of whichever of the two kinds. */
function workload(wishes: PodWishes): object {
  const { metadata, spec } = pod(wishes) as { metadata: { labels: object }; spec: object };
  return {
    metadata: { name: 'workload' },
    spec: {
      serviceName: 'none',
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: metadata.labels }, spec },
    },
  };
}

function cronJob(wishes: PodWishes): object {
  const { metadata, spec } = pod(wishes) as { metadata: { labels: object }; spec: object };
  const template = { metadata: { labels: metadata.labels }, spec: { ...spec, restartPolicy: 'Never' } };
  return {
    metadata: { name: 'job' },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template } } },
  };
}

const LABELLED: PodWishes = { labels: { 'cortexflow.io/component': 'injector' } };
const SECRET = 'injector-certificate';
const FORBIDDEN: Readonly<Record<string, PodWishes>> = {
  'the label': LABELLED,
  'a ServiceAccount': { spec: { serviceAccountName: 'injector' } },
  'a ServiceAccount, by its old name': { spec: { serviceAccount: 'control-plane' } },
  'the Secret as a volume': { spec: { volumes: [{ name: 'x', secret: { secretName: SECRET } }] } },
  'the Secret in a projected volume': {
    spec: { volumes: [{ name: 'x', projected: { sources: [{ secret: { name: SECRET } }] } }] },
  },
  'the Secret as a variable': {
    container: { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: SECRET, key: 'ca.key' } } }] },
  },
  'the Secret as all variables': { container: { envFrom: [{ secretRef: { name: SECRET } }] } },
};

testWithServer('the injector may set the caBundle, and change nothing else', async (t) => {
  const set = [0, 1].map((index) => ({
    op: 'add',
    path: `/webhooks/${index}/clientConfig/caBundle`,
    value: caBundle,
  }));
  t.is((await patch(injector, ...set)).status, 200);
  const url = { url: 'https://elsewhere.example.com/mutate' };
  const others: readonly Operation[] = [
    OTHER_POLICY,
    { op: 'replace', path: '/webhooks/0/clientConfig', value: url },
    { op: 'replace', path: '/webhooks/0/clientConfig/service/path', value: '/other' },
    { op: 'replace', path: '/webhooks/0/rules/0/resources', value: ['secrets'] },
    { op: 'remove', path: '/webhooks/0/namespaceSelector' },
    { op: 'remove', path: '/webhooks/0/matchConditions' },
    { op: 'remove', path: '/webhooks/1/objectSelector' },
    { op: 'replace', path: '/webhooks/0/name', value: 'other.cortexflow.io' },
    { op: 'replace', path: '/webhooks/0/timeoutSeconds', value: 30 },
    { op: 'remove', path: '/webhooks/1/matchConditions' },
    { op: 'remove', path: '/webhooks/1' },
    { op: 'add', path: '/metadata/annotations/other', value: 'x' },
    { op: 'add', path: '/metadata/labels/other', value: 'x' },
  ];
  for (const operation of others) {
    const { status, body } = await patch(injector, ...set, operation);
    t.is(status, 422, JSON.stringify(operation));
    t.regex((body as { message: string }).message, /caBundle, and nothing else/u);
    t.is((await patch(server.admin, ...set, operation)).status, 200, JSON.stringify(operation));
  }
});

testWithServer("what makes a pod one of the mesh's own is refused to others in its namespace", async (t) => {
  t.is((await create(editor, 'pods', pod({}))).status, 201);
  t.is((await create(editor, 'deployments', workload({}))).status, 201);
  t.is((await create(editor, 'cronjobs', cronJob({}))).status, 201);
  for (const [what, wishes] of Object.entries(FORBIDDEN)) {
    const answers = [
      await create(editor, 'pods', pod(wishes)),
      await create(editor, 'deployments', workload(wishes)),
      await create(editor, 'statefulsets', workload(wishes)),
      await create(editor, 'cronjobs', cronJob(wishes)),
    ];
    for (const { status, body } of answers) {
      t.is(status, 422, what);
      t.regex((body as { message: string }).message, /are for the mesh's own pods/u);
    }
  }
});

function debuggedWith(env: readonly object[]): object {
  return { spec: { ephemeralContainers: [{ name: 'debugger', image: 'example.invalid/none', env }] } };
}

testWithServer("no pod that is there becomes one of the mesh's own", async (t) => {
  const path = '/api/v1/namespaces/cortexflow/pods';
  t.is(
    (await server.call({ method: 'POST', path, body: { ...pod({}), metadata: { name: 'there' } } })).status,
    201,
  );
  const change = (subresource: string, body: object): Promise<Answer> =>
    call(editor, {
      method: 'PATCH',
      path: `${path}/there${subresource}?dryRun=All`,
      body,
      contentType: 'application/strategic-merge-patch+json',
    });
  const key = { name: 'KEY', valueFrom: { secretKeyRef: { name: SECRET, key: 'ca.key' } } };
  t.is((await change('', { metadata: { labels: { other: 'x' } } })).status, 200);
  t.is((await change('', { metadata: { labels: LABELLED.labels } })).status, 422);
  t.is((await change('/ephemeralcontainers', debuggedWith([]))).status, 200);
  t.is((await change('/ephemeralcontainers', debuggedWith([key]))).status, 422);
});

testWithServer(
  'whoever installs the mesh is allowed it, and the controllers that make its pods',
  async (t) => {
    await Promise.all(
      ['deployment-controller', 'replicaset-controller'].map((name) =>
        server.createServiceAccount(name, 'kube-system'),
      ),
    );
    const [deployments, replicaSets] = await Promise.all([
      server.accessFor('deployment-controller', 'kube-system'),
      server.accessFor('replicaset-controller', 'kube-system'),
    ]);
    const own = { ...LABELLED, spec: { serviceAccountName: 'injector' } };
    t.is((await create(server.admin, 'deployments', workload(own))).status, 201);
    t.is((await create(deployments, 'replicasets', workload(own))).status, 201);
    t.is((await create(replicaSets, 'pods', pod(own))).status, 201);
  },
);

testWithServer('elsewhere, a pod may have any label and ServiceAccount', async (t) => {
  await server.createNamespace('team');
  await server.createServiceAccount('injector', 'team');
  const body = pod({ ...LABELLED, spec: { serviceAccountName: 'injector' } });
  const { status } = await server.call({
    method: 'POST',
    path: '/api/v1/namespaces/team/pods?dryRun=All',
    body,
  });
  t.is(status, 201);
});
