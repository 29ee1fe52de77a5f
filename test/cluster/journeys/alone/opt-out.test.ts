/** Which pods are in the mesh and which are not, and who may decide it: as installed, and with the overlays. */
import type { ExecutionContext } from 'ava';
import type { Cluster } from '../../cluster.ts';
import { isInjected, type TriedPod, tryPods } from '../../journey/admission.ts';
import { ask } from '../../journey/asking.ts';
import { journeys } from '../../journey/journey.ts';
import { installMesh, MESH_NAMESPACE, type Overlay, untilNoPodsAreEnding } from '../../journey/mesh.ts';
import { APP, APP_PORT, deployment, pod, service } from '../../journey/objects.ts';
import { until } from '../../journey/until.ts';

const journey = journeys({ name: 'opt-out' });

const DISABLED = { 'proxy-injection': 'disabled' };
const ENABLED = { 'proxy-injection': 'enabled' };
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease'] as const;

/** What is left out, whatever it says; each one is created as it was written. */
const INELIGIBLE: Readonly<Record<string, TriedPod>> = {
  'on the network of its node': { spec: { hostNetwork: true } },
  'a part of the mesh itself': {
    namespace: MESH_NAMESPACE,
    labels: { 'cortexflow.io/component': 'control-plane' },
  },
  'with a cortexflow-proxy of its own': {
    spec: { initContainers: [{ name: 'cortexflow-proxy', image: APP }] },
  },
  'the mirror of a static pod': {
    annotations: { 'kubernetes.io/config.mirror': 'its digest' },
    spec: { nodeName: 'node-a' },
  },
  'for Windows by its system': { spec: { os: { name: 'windows' } } },
  'for Windows by its node': { spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } },
  'for Windows by its options': { spec: { securityContext: { windowsOptions: { runAsUserName: 'x' } } } },
  'annotated disabled': { annotations: DISABLED },
  'labelled disabled': { labels: DISABLED },
};

/** The mesh's own namespace warns of whatever is not `restricted`. */
function isOurs(complaint: string): boolean {
  return !complaint.includes('would violate PodSecurity "restricted:latest"');
}

journey('every kind of pod that is not eligible is created as it was written', async (t, { cluster }) => {
  const kinds = Object.entries(INELIGIBLE);
  const inSystem = SYSTEM_NAMESPACES.map((namespace) => ({ namespace }));
  const { pods, complaints } = await tryPods(cluster, [...kinds.map(([, each]) => each), ...inSystem]);
  t.deepEqual(complaints.filter(isOurs), []);
  t.is(pods.length, kinds.length + inSystem.length);
  for (const [index, made] of pods.entries()) {
    const [kind = SYSTEM_NAMESPACES[index - kinds.length], tried] = kinds[index] ?? [];
    t.false(isInjected(made), kind);
    const applied = (tried?.spec ?? {}) as { initContainers?: readonly object[] };
    t.is(made.spec.initContainers?.length, applied.initContainers?.length, kind);
    t.is(made.metadata.labels?.['cortexflow.io/injected'], undefined, kind);
  }
});

journey('who asks for the mesh where it cannot be is told so', async (t, { cluster }) => {
  const asking: readonly TriedPod[] = [
    { labels: ENABLED, spec: { hostNetwork: true } },
    { annotations: ENABLED, namespace: 'kube-system' },
    { labels: { 'cortexflow.io/injected': 'true' }, annotations: DISABLED },
  ];
  const { pods, complaints } = await tryPods(cluster, asking);
  t.deepEqual(pods.map(isInjected), [false, false, false]);
  t.deepEqual(complaints, [
    "Warning: pod web: proxy-injection: enabled does nothing here: it is on the node's network (hostNetwork: true)",
    // Of pods in kube-system the webhook is not even asked.
    'Warning: pod web: label cortexflow.io/injected says that the pod is in the mesh, and it is not: take it out, ' +
      'injected pods get it by themselves',
  ]);
});

journey('what a namespace says counts for its pods, unless they say otherwise', async (t, stage) => {
  const { cluster, namespace } = stage;
  const tried = [{ namespace }, { namespace, annotations: ENABLED }, { namespace, labels: ENABLED }];
  const injected = async (): Promise<readonly boolean[]> =>
    (await tryPods(cluster, tried)).pods.map(isInjected);
  t.deepEqual(await injected(), [true, true, true]);
  for (const how of ['annotate', 'label']) {
    await cluster.mustKubectl([how, 'namespace', namespace, 'proxy-injection=disabled']);
    await until(`no injection after ${how} disabled`, injected, ([plain]) => plain === false);
    t.deepEqual(await injected(), [false, true, true], how);
    await cluster.mustKubectl([how, 'namespace', namespace, 'proxy-injection-']);
    await until(`injection after ${how} was taken back`, injected, ([plain]) => plain === true);
  }
  const guarded = 'pod-security.kubernetes.io/enforce';
  await cluster.mustKubectl(['label', 'namespace', namespace, `${guarded}=baseline`]);
  await until('no injection under the baseline standard', injected, ([plain]) => plain === false);
  const { complaints } = await tryPods(cluster, tried);
  t.is(
    complaints[0],
    `Warning: pod web: not injected: namespace ${namespace} enforces the Pod Security Standard baseline, which ` +
      `forbids the proxy's init container NET_ADMIN: label the namespace ${guarded}=privileged, or proxy-injection=enabled if ` +
      'its pods are exempt',
  );
});

journey('pods that are left out run, and both sides reach each other', async (t, stage) => {
  await stage.apply(
    deployment({ name: 'inside' }),
    service({ name: 'inside' }),
    pod({ name: 'outside', annotations: DISABLED }),
    service({ name: 'outside' }),
    pod({ name: 'of-the-node', container: { ports: [] }, spec: NODE_AGENT, ...ON_ITS_OWN_PORT }),
    service({ name: 'of-the-node', port: NODE_PORT }),
  );
  await stage.untilRolledOut('inside');
  await stage.kubectl(['wait', 'pod/outside', 'pod/of-the-node', '--for=condition=Ready', '--timeout=300s']);
  const [inside, outside, agent] = await Promise.all(
    ['inside', 'outside', 'of-the-node'].map((name) => stage.pod(name)),
  );
  const urls = [`http://inside:${APP_PORT}`, `http://outside:${APP_PORT}`, `http://of-the-node:${NODE_PORT}`];
  for (const client of [inside!, outside!, agent!]) {
    const answers = await Promise.all(urls.map((url) => ask(stage, client, url)));
    t.deepEqual(
      answers.map((answer) => answer.pod),
      // A pod of the node is called as the node is.
      [inside!.name, 'outside', agent!.node],
      client.name,
    );
  }
});

const NODE_PORT = 18_473;
const NODE_AGENT = { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet', nodeSelector: {} };
const ON_ITS_OWN_PORT = {
  command: ['node', '/app/server.ts', String(NODE_PORT)],
  ready: { path: '/', port: NODE_PORT },
};

journey('opt-in: what is labelled is in the mesh, and nothing else', async (t, stage) => {
  const { cluster, namespace } = stage;
  await install(t, cluster, 'opt-in');
  const tried = [
    { namespace },
    { namespace, annotations: ENABLED },
    { namespace, labels: ENABLED },
    { namespace, labels: DISABLED },
  ];
  const injected = async (): Promise<readonly boolean[]> =>
    (await tryPods(cluster, tried)).pods.map(isInjected);
  t.deepEqual(await until('injection of a labelled pod', injected, (each) => each.includes(true)), [
    false,
    false,
    true,
    false,
  ]);
  await cluster.mustKubectl(['label', 'namespace', namespace, 'proxy-injection=enabled']);
  t.deepEqual(await until('injection in a labelled namespace', injected, ([plain]) => plain === true), [
    true,
    true,
    true,
    false,
  ]);
  const { pods } = await tryPods(
    cluster,
    SYSTEM_NAMESPACES.map((name) => ({ namespace: name, labels: ENABLED })),
  );
  t.deepEqual(pods.map(isInjected), [false, false, false]);
});

journey('fail-closed: where it was promised, no pod starts outside of the mesh', async (t, stage) => {
  const { cluster, namespace } = stage;
  await install(t, cluster, 'fail-closed');
  await cluster.mustKubectl(['label', 'namespace', namespace, 'proxy-injection=enabled']);
  const injected = async (): Promise<boolean> =>
    (await tryPods(cluster, [{ namespace }, {}])).pods.filter(isInjected).length === 2;
  await until('injection in both namespaces', injected, Boolean);

  await scaleInjector(cluster, 0);
  const refused = await until(
    'a refusal without an injector',
    () => tryPods(cluster, [{ namespace }]),
    ({ complaints }) => complaints.length > 0,
  );
  t.deepEqual(refused.pods, []);
  t.regex(
    refused.complaints.join('\n'),
    /^Error from server \(InternalError\): .*failed calling webhook "inject-or-refuse.cortexflow.io": .*$/,
  );
  const free = [
    {},
    { namespace, labels: DISABLED },
    { namespace, spec: { hostNetwork: true } },
    { namespace: 'kube-system' },
    { namespace: MESH_NAMESPACE, labels: { 'cortexflow.io/component': 'injector' } },
  ];
  const { pods, complaints } = await tryPods(cluster, free);
  t.deepEqual(complaints.filter(isOurs), []);
  t.deepEqual(
    pods.map(isInjected),
    free.map(() => false),
  );

  // Its pods come once they can come as was promised, and nobody has to see to it.
  await stage.apply(deployment({ name: 'patient' }));
  await until(
    'an event that says that creation failed',
    () => stage.kubectl(['get', 'events', '--field-selector=reason=FailedCreate', '-o', 'name']),
    (events) => events !== '',
  );
  await scaleInjector(cluster, 2);
  await stage.untilRolledOut('patient');
  t.is((await cluster.pods(namespace, 'app=patient,cortexflow.io/injected=true')).length, 1);
});

/** Until the end of the test. */
async function install(t: ExecutionContext, cluster: Cluster, overlay: Overlay): Promise<void> {
  t.teardown(() => installMesh(cluster));
  await installMesh(cluster, overlay);
}

async function scaleInjector(cluster: Cluster, replicas: number): Promise<void> {
  const where = ['deployment/injector', '-n', MESH_NAMESPACE];
  await cluster.mustKubectl(['scale', ...where, `--replicas=${replicas}`]);
  await cluster.mustKubectl(['rollout', 'status', ...where, '--timeout=300s']);
  await untilNoPodsAreEnding(cluster);
}
