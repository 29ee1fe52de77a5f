/** Pods as people may write them, through the cluster's own webhook; and what no API server would send it. */
import * as fc from 'fast-check';
import { arbitraryPod } from '../../injector/arbitrary-pod.ts';
import type { Cluster } from '../cluster.ts';
import { isInjected, type MadePod } from '../journey/admission.ts';
import { getJson } from '../journey/asking.ts';
import { journeys } from '../journey/journey.ts';
import { MESH_NAMESPACE } from '../journey/mesh.ts';
import { Metrics, podPage } from '../journey/metrics.ts';

const journey = journeys({ name: 'generated-pods' });

/** Thousands run against an API server alone, in `npm test`; here the rest of a cluster is in it as well. */
const PODS = 200;
const AT_ONCE = 8;
const ADMIN_PORT = 18_080;
const LEFT_OUT = { 'proxy-injection': 'disabled' };

journey('each is injected, validates, keeps what was its own, and is injected once', async (t, stage) => {
  const { cluster, namespace } = stage;
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
  const made = async (body: object): Promise<MadePod> => {
    const answer = await cluster.call({ method: 'POST', path, body });
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
    return answer.body as MadePod;
  };
  const before = await reviews(cluster);
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryPod, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (pods) => {
      await Promise.all(
        pods.map(async (pod) => {
          const first = await made(pod);
          const plain = await made({ ...pod, metadata: { ...pod.metadata, labels: LEFT_OUT } });
          t.deepEqual([isInjected(first), isInjected(plain)], [true, false]);
          t.deepEqual(ownOf(first), ownOf(plain));
          t.deepEqual(first.metadata.annotations, plain.metadata.annotations);
          t.deepEqual(first.metadata.labels, { ...pod.metadata.labels, 'cortexflow.io/injected': 'true' });

          const { name, labels, annotations } = first.metadata;
          const second = await made({ ...first, metadata: { name, labels, annotations } });
          t.deepEqual(second.spec, first.spec);
          t.deepEqual(second.metadata.labels, labels);
        }),
      );
    }),
    { numRuns: PODS / AT_ONCE, endOnFailure: true },
  );
  t.true((await reviews(cluster)) >= before + PODS);
});

journey('what is no review of a pod is told so, at the address of the webhook', async (t, { cluster }) => {
  const { spec } = await getJson<{ spec: { clusterIP: string } }>(
    cluster,
    'service/injector',
    '-n',
    MESH_NAMESPACE,
  );
  const restarts = await restartsOf(cluster);
  const send = async (body: string, contentType = 'application/json'): Promise<string> => {
    const url = `https://${spec.clusterIP}/mutate`;
    const headers = ['--header', `content-type: ${contentType}`, '--header', 'expect:'];
    const output = ['--output', '/dev/null', '--write-out', '%{http_code}'];
    const command = ['curl', '-sS', '--insecure', '--max-time', '60', ...headers, ...output];
    const { stdout } = await cluster.onNode('node-a', [...command, '--data-binary', '@-', url], body);
    return stdout;
  };
  t.is(await send('['.repeat(3 * 1024 ** 2)), '400');
  t.is(await send(`"${'x'.repeat(5 * 1024 ** 2)}"`), '413');
  t.is(await send('\u0000'), '400');
  t.is(
    await send('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1"}}'),
    '400',
  );
  t.is(await send('kind: AdmissionReview', 'application/yaml'), '415');
  t.deepEqual(await restartsOf(cluster), restarts);
});

/** The spec without what the mesh puts in, and without what is made up for each pod. */
function ownOf({ spec }: MadePod): unknown {
  const proxies = new Set(['proxy-init', 'proxy-sidecar']);
  const initContainers = spec.initContainers?.filter(({ name }) => !proxies.has(name)) ?? [];
  const volumes = (spec['volumes'] as readonly { name: string }[] | undefined)?.filter(
    ({ name }) => name !== 'cortexflow-state',
  );
  const own = JSON.stringify({ ...spec, initContainers, volumes });
  return JSON.parse(own.replaceAll(/kube-api-access-\w+/g, 'kube-api-access'));
}

/** Pods that the injector has put its containers into. */
async function reviews(cluster: Cluster): Promise<number> {
  const [injector] = await cluster.pods(MESH_NAMESPACE, 'cortexflow.io/component=injector');
  const text = await podPage(cluster, injector!, { port: ADMIN_PORT, path: '/metrics' });
  return new Metrics(text).sum('cortexflow_injector_reviews_total', { outcome: 'injected' });
}

/** Of each injector, how often it was started again. */
async function restartsOf(cluster: Cluster): Promise<readonly (readonly [string, number])[]> {
  const { items } = await getJson<{
    items: readonly {
      metadata: { name: string };
      status: { containerStatuses: readonly { restartCount: number }[] };
    }[];
  }>(cluster, 'pods', '-n', MESH_NAMESPACE, '-l', 'cortexflow.io/component=injector');
  return items.map(({ metadata, status }) => [metadata.name, status.containerStatuses[0]!.restartCount]);
}
