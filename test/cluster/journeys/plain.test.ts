import test from 'ava';
import { Cluster, type Pod } from '../cluster.ts';
import { NODES, OUTSIDE } from '../layout.ts';
import { testThatNeeds } from '../requirement.ts';
import { until } from '../journey/until.ts';

// What every other journey stands on: a plain cluster, with nothing of a mesh, does what a cluster does.

const cluster = Cluster.find()!;
const journey = testThatNeeds(cluster ? undefined : 'no cluster is up: npm run cluster', test.serial);
const NAMESPACE = 'journey-plain';
const FAMILIES = ['IPv4', 'IPv6'] as const;

test.before(async () => {
  if (!cluster) return;
  await cluster.deleteNamespace(NAMESPACE);
  await cluster.apply([
    // What is asked here is the cluster, also where another journey has left a mesh on it.
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE, labels: { 'proxy-injection': 'disabled' } },
    },
    who('who'),
    service('who', 'who'),
  ]);
  await cluster.mustKubectl(['rollout', 'status', 'deployment/who', '-n', NAMESPACE, '--timeout=120s']);
});
test.after.always(() => cluster?.startToDeleteNamespace(NAMESPACE));

journey('a Deployment is ready on both nodes, each pod with an address of each family', async (t) => {
  const pods = await whoPods();
  t.deepEqual(pods.map(({ node }) => node).toSorted(), ['node-a', 'node-b']);
  for (const { addresses } of pods) t.is(addresses.length, 2);
});

journey('nodes say which zone they are in', async (t) => {
  const zones = await cluster.mustKubectl([
    'get',
    'nodes',
    '-o',
    String.raw`jsonpath={.items[*].metadata.labels.topology\.kubernetes\.io/zone}`,
  ]);
  t.is(zones, NODES.map(({ zone }) => zone).join(' '));
});

for (const [index, family] of FAMILIES.entries()) {
  journey(`a pod reaches a pod of the other node, which sees its own address (${family})`, async (t) => {
    const [one, other] = (await whoPods()) as [Pod, Pod];
    const answer = await ask(one, urlOf(other.addresses[index]!));
    t.is(answer.pod, other.name);
    t.is(answer.from.replace('::ffff:', ''), one.addresses[index]!);
  });

  journey(`a pod reaches every pod of a Service, itself among them, by kube-proxy (${family})`, async (t) => {
    const pods = await whoPods();
    const address = await clusterAddress(family);
    const reached = new Set<string>();
    await until(
      `answers of both pods at ${address}`,
      async () => reached.add((await ask(pods[0]!, urlOf(address))).pod),
      ({ size }) => size === pods.length,
    );
    t.deepEqual([...reached].toSorted(), pods.map(({ name }) => name).toSorted());
  });
}

journey('CoreDNS knows the Service by its short name, and nothing that is not there', async (t) => {
  const [pod] = await whoPods();
  t.truthy((await ask(pod!, 'http://who:8080')).pod);
  const other = await cluster.exec(NAMESPACE, pod!.name, ['dig', '+noall', '+comments', 'example.com']);
  t.regex(other.stdout, /status: NXDOMAIN/);
});

journey('a pod reaches the API server as kubernetes.default.svc', async (t) => {
  const [pod] = await whoPods();
  const command = ['curl', '-sS', '--insecure', 'https://kubernetes.default.svc/version'];
  const { stdout, stderr } = await cluster.exec(NAMESPACE, pod!.name, command);
  t.regex(stdout, /"gitVersion": "v1\./, stderr);
});

journey(
  'the API server reaches a pod by the address of its Service, as it has to for webhooks',
  async (t) => {
    const node = await cluster.onNode('node-a', ['curl', '-sS', urlOf(await clusterAddress('IPv4'))]);
    t.regex(node.stdout, /"pod":"who-/, node.stderr);
  },
);

journey('a pod reaches a peer outside of the cluster, and nothing of the real world', async (t) => {
  const [pod] = await whoPods();
  const curl = (address: string) =>
    cluster.exec(NAMESPACE, pod!.name, ['curl', '-sS', `http://${address}:80`]);
  // Nobody listens there, and the machine says so itself: it was reached.
  t.regex((await curl(OUTSIDE.world)).stderr, /Failed to connect.*after \d+ ms/);
  t.is((await curl('192.0.2.77')).code, 7);
});

function whoPods(): Promise<readonly Pod[]> {
  return cluster.pods(NAMESPACE, 'app=who');
}

async function ask(pod: Pod, url: string): Promise<{ pod: string; from: string }> {
  const { stdout, stderr } = await cluster.exec(NAMESPACE, pod.name, ['curl', '-sS', '--max-time', '5', url]);
  if (stdout === '') throw new Error(`${pod.name} got no answer from ${url}: ${stderr}`);
  return JSON.parse(stdout) as { pod: string; from: string };
}

async function clusterAddress(family: (typeof FAMILIES)[number]): Promise<string> {
  const text = await cluster.mustKubectl(['get', 'service', 'who', '-n', NAMESPACE, '-o', 'json']);
  const { ipFamilies, clusterIPs } = (
    JSON.parse(text) as { spec: { ipFamilies: string[]; clusterIPs: string[] } }
  ).spec;
  return clusterIPs[ipFamilies.indexOf(family)]!;
}

function urlOf(address: string): string {
  return `http://${address.includes(':') ? `[${address}]` : address}:8080`;
}

function who(name: string): unknown {
  const labels = { app: name };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  };
  const container = {
    name: 'who',
    image: 'cortexflow-test/app:1',
    command: ['node', '/app/who.ts'],
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { topologySpreadConstraints: [spread], containers: [container] },
      },
    },
  };
}

function service(name: string, app: string): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: NAMESPACE },
    spec: { selector: { app }, ipFamilyPolicy: 'PreferDualStack', ports: [{ port: 8080 }] },
  };
}
