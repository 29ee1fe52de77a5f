/** A meshed pod is answered what CoreDNS answers, whatever it asks; its resolvers find Services by their short names. */
import { compare, type DigQuestion, meshIn, questionsIn } from '../../dns/comparison.ts';
import { digAll, type Digger } from '../../dns/dig.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { APP_PORT, pod, service } from '../journey/objects.ts';
import { until } from '../journey/until.ts';

const journey = journeys({ name: 'names' });

const REQUESTS = 'cortexflow_dns_requests_total';
const CORE_DNS = '@10.96.0.10';
/** Nobody is there: only what is redirected is answered. */
const NOBODY = '@192.0.2.77';
const NOBODY_IPV6 = '@2001:db8::77';
const WAIT = '--timeout=300s';
/** All addresses of a name, as Node's programs find them: by the C library. */
const LOOKUP = `require('node:dns').lookup(process.argv[1], { all: true }, (error, all) =>
  console.log(...(error ? [error.code] : all.map(({ address }) => address))));`;
const OUTSIDE_OF_MESH = { 'proxy-injection': 'disabled' };

/** One that its probe finds nobody in. */
const NEVER_READY = { path: '/', port: 1 };
const UNREADY_NAME = { hostname: 'server-1', subdomain: 'published' };
const NAMED_PORTS = [
  { name: 'http', port: APP_PORT },
  { name: 'metrics', port: 9090, targetPort: APP_PORT },
  { name: 'http-udp', port: APP_PORT, protocol: 'UDP' },
];
const HEADLESS = { clusterIP: 'None', ports: NAMED_PORTS };

/** Pods of a set, each with its name; one that is not ready; Services of each kind in front of them. */
const WORKLOADS: readonly unknown[] = [
  pod({ name: 'server', labels: { part: 'set' }, spec: { hostname: 'server-0', subdomain: 'set' } }),
  pod({ name: 'unready', labels: { part: 'set' }, ready: NEVER_READY, spec: UNREADY_NAME }),
  service({ name: 'server', spec: { ports: NAMED_PORTS } }),
  service({ name: 'unready', spec: { ports: NAMED_PORTS } }),
  service({ name: 'set', spec: { ...HEADLESS, selector: { part: 'set' } } }),
  service({ name: 'unready-set', app: 'unready', spec: HEADLESS }),
  service({ name: 'published', app: 'unready', spec: { ...HEADLESS, publishNotReadyAddresses: true } }),
  service({ name: 'without-pods', spec: { ports: NAMED_PORTS } }),
];

function diggerIn({ cluster, namespace }: Stage, where: string, server: string): Digger {
  const run = async (args: readonly string[], input: string): Promise<string> => {
    const { code, stdout, stderr } = await cluster.exec(namespace, where, ['dig', ...args], input);
    if (code !== 0) throw new Error(`dig in pod ${where} ended with ${code}: ${stderr}${stdout.slice(-500)}`);
    return stdout;
  };
  return { server: [server], run };
}

interface Askers {
  readonly ours: Digger;
  readonly theirs: Digger;
}

/** In a pod of the mesh and in one outside of it, both ready. */
async function askers(stage: Stage): Promise<Askers> {
  await stage.apply(
    pod({ name: 'inside' }),
    pod({ name: 'outside', annotations: OUTSIDE_OF_MESH }),
    ...WORKLOADS,
  );
  await stage.kubectl(['apply', '-f', '-'], meshIn(stage.namespace));
  const names = ['inside', 'outside', 'server'];
  await stage.kubectl(['wait', ...names.map((name) => `pod/${name}`), '--for=condition=Ready', WAIT]);
  await stage.kubectl(['wait', 'pod/unready', '--for=jsonpath={.status.podIP}', WAIT]);
  const asking = {
    ours: diggerIn(stage, 'inside', NOBODY),
    theirs: diggerIn(stage, 'outside', CORE_DNS),
  };
  await untilKnown(stage, asking);
  return asking;
}

/** Resolves when what was made last has reached all who answer: both replicas of CoreDNS, and the sidecar. */
async function untilKnown({ namespace }: Stage, { ours, theirs }: Askers): Promise<void> {
  const names = ['server-0.set', 'server-1.published', 'only.portless', 'fd00--6.six'];
  // Each question has a socket of its own, and each socket reaches one replica.
  const questions = Array.from({ length: 8 }, () => names)
    .flat()
    .map((name) => [`${name}.${namespace}.svc.cluster.local`, name.startsWith('fd00') ? 'AAAA' : 'A']);
  for (const each of [theirs, ours]) {
    await until(
      `the pods of ${namespace} in the answers of ${each.server.join(' ')}`,
      () => digAll(each, questions),
      (all) => all.every(({ answer }) => answer.length > 0),
    );
  }
}

const NAMES = [
  ...['server', 'unready', 'set', 'unready-set', 'published', 'without-pods'].flatMap((name) => [
    name,
    `_http._tcp.${name}`,
    `_http._udp.${name}`,
    `_http-udp._udp.${name}`,
    `_metrics._tcp.${name}`,
  ]),
  'server-0.set',
  'server-1.set',
  'server-1.published',
  'server-1.unready-set',
  'server-0.server',
];
const TYPES = ['A', 'AAAA', 'SRV', 'CNAME', 'TXT', 'MX', 'NS', 'SOA', 'PTR', 'CAA', 'HTTPS', 'TYPE65280'];

/** Of the pods and Services that the cluster itself made. */
async function questionsOfWorkloads(stage: Stage): Promise<readonly DigQuestion[]> {
  const zone = `${stage.namespace}.svc.cluster.local`;
  const names = NAMES.map((name) => `${name}.${zone}`);
  const addresses = await addressesOf(stage);
  return [
    ...names.flatMap((name) => TYPES.map((type) => [name, type])),
    ...addresses.map((address) => ['-x', address]),
    ...addresses.flatMap((address) => dashedNames(address, stage.namespace)).map((name) => [name, 'A']),
  ];
}

/** As an endpoint of two Services, and as a pod. */
function dashedNames(address: string, namespace: string): readonly string[] {
  const dashed = address.replaceAll(/[.:]/gu, '-');
  const among = ['set', 'server'].map((name) => `${dashed}.${name}.${namespace}.svc.cluster.local`);
  return [...among, `${dashed}.${namespace}.pod.cluster.local`];
}

/** Of this namespace's pods and Services, and of two that each cluster has, of both families. */
async function addressesOf(stage: Stage): Promise<readonly string[]> {
  const each = String.raw`jsonpath={range .items[*]}{.spec.clusterIPs[*]}{" "}{.status.podIPs[*].ip}{" "}{end}`;
  const own = await stage.kubectl(['get', 'services,pods', '-o', each]);
  return ['10.96.0.1', '10.96.0.10', ...own.split(/\s+/u).filter((word) => /^[\da-f.:]+$/u.test(word))];
}

/** Questions that no table of names is made for, and names as a search list with ndots:5 makes them. */
function oddQuestions({ namespace }: Stage): readonly DigQuestion[] {
  const zone = `${namespace}.svc.cluster.local`;
  const searched = ['server', `server.${namespace}`, `server.${zone}`, 'kubernetes.default', 'example.com'];
  const web = `server.${zone}`;
  return [
    ...searched.flatMap((name) =>
      ['', `.${zone}`, '.svc.cluster.local', '.cluster.local'].flatMap((suffix) =>
        ['A', 'AAAA'].map((type) => [`${name}${suffix}`, type]),
      ),
    ),
    ...searched.map((name) => [name, '+search']),
    ['web.default.svc.cluster.local.default.svc.cluster.local'],
    ...['A', 'SRV', 'TXT'].map((type) => ['kube-dns.kube-system.svc.cluster.local', type]),
    ['_dns._udp.kube-dns.kube-system.svc.cluster.local', 'SRV'],
    ['_dns-tcp._tcp.kube-dns.kube-system.svc.cluster.local', 'SRV'],
    [`*._tcp.${web}`, 'SRV'],
    [`*.${zone}`],
    [`_._tcp.${web}`, 'SRV'],
    [`_tcp.${web}`],
    [web, 'ANY', '+notcp'],
    [web, '-c', 'CH'],
    ['version.bind', 'TXT', '-c', 'CH'],
    [web, '-c', 'HS'],
    [web, '+norecurse'],
    [web, '+cdflag', '+adflag'],
    [web, '+tcp'],
    [`set.${zone}`, '+tcp'],
    [web.toUpperCase()],
    ['.', 'NS'],
    ['.', 'SOA'],
    ['localhost'],
    ['outside.invalid', 'TXT'],
  ];
}

journey('a pod in the mesh is answered what CoreDNS answers', async (t, stage) => {
  const asking = await askers(stage);
  const before = await stage.metrics(await stage.pod('inside'));
  const questions = [
    ...questionsIn(stage.namespace),
    ...(await questionsOfWorkloads(stage)),
    ...oddQuestions(stage),
  ];
  await compare(t, { ...asking, questions });
  await compare(t, {
    ...asking,
    ours: { ...asking.ours, server: [NOBODY_IPV6] },
    questions: oddQuestions(stage),
  });
  const after = await stage.metrics(await stage.pod('inside'));
  const count = after.sum(REQUESTS) - before.sum(REQUESTS);
  t.true(count >= 2 * questions.length, `${count} counted of ${2 * questions.length}`);
  t.log(after.sums(REQUESTS, 'answered_by'));
});

journey('programs in a pod of the mesh find a Service by its short name', async (t, stage) => {
  const { cluster, namespace } = stage;
  // A pod's own name is in its /etc/hosts.
  await stage.apply(pod({ name: 'inside' }), service({ name: 'found', app: 'inside' }));
  await stage.kubectl(['wait', 'pod/inside', '--for=condition=Ready', WAIT]);
  const ips = (await stage.kubectl(['get', 'service/found', '-o', 'jsonpath={.spec.clusterIPs[*]}'])).split(
    ' ',
  );
  const said = async (...command: readonly string[]): Promise<string> =>
    (await cluster.exec(namespace, 'inside', command)).stdout.trim();
  const asker = await stage.pod('inside');
  const requests = async (type: string, rcode: string): Promise<number> =>
    (await stage.metrics(asker)).sum(REQUESTS, { type, answered_by: 'table', rcode });

  await until(
    'an IPv4 address for the name found',
    () => said('getent', 'ahostsv4', 'found'),
    (text) => text !== '',
  );
  const [answered, missed] = [await requests('A', 'NOERROR'), await requests('A', 'NXDOMAIN')];
  for (const name of ['found', `found.${namespace}`, `found.${namespace}.svc`]) {
    const all = (await said('getent', 'ahosts', name)).split('\n').map((line) => line.split(' ')[0] ?? '');
    t.deepEqual([...new Set(all)].toSorted(), ips.toSorted(), name);
    t.deepEqual((await said('node', '-e', LOOKUP, name)).split(' ').toSorted(), ips.toSorted(), name);
  }
  t.regex(
    await said('getent', 'hosts', ips[0]!),
    new RegExp(`found\\.${namespace}\\.svc\\.cluster\\.local$`, 'u'),
  );
  t.is(await said('getent', 'ahosts', 'nobody'), '');
  t.true((await requests('A', 'NOERROR')) >= answered + 6);
  // The search list's first ending makes nothing of the second name, its first two nothing of the third.
  t.true((await requests('A', 'NXDOMAIN')) >= missed + 6);
});

journey('a pod that says so asks for itself, and its sidecar answers nothing', async (t, stage) => {
  const { cluster, namespace } = stage;
  await stage.apply(
    pod({ name: 'alone', annotations: { 'cortexflow.io/intercept-dns': 'false' } }),
    pod({ name: 'inside' }),
  );
  await stage.kubectl(['wait', 'pod/alone', 'pod/inside', '--for=condition=Ready', WAIT]);
  const ask = (where: string, ...words: readonly string[]) =>
    cluster.exec(namespace, where, ['dig', '+short', '+tries=1', '+time=2', ...words]);
  const kubernetes = 'kubernetes.default.svc.cluster.local';
  for (const transport of ['+notcp', '+tcp']) {
    t.is((await ask('inside', NOBODY, transport, kubernetes)).stdout, '10.96.0.1\n', transport);
    t.not((await ask('alone', NOBODY, transport, kubernetes)).code, 0, transport);
    t.is((await ask('alone', transport, kubernetes)).stdout, '10.96.0.1\n', transport);
  }
  t.is((await stage.metrics(await stage.pod('alone'))).sum(REQUESTS), 0);
  t.true((await stage.metrics(await stage.pod('inside'))).sum(REQUESTS, { answered_by: 'table' }) >= 2);
});
