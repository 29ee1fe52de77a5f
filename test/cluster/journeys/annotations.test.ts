/** What annotations do to running pods, and what somebody is told who gets one wrong. */
import type { Pod } from '../cluster.ts';
import { isInjected, tryPods } from '../journey/admission.ts';
import { ask, getJson, sidecarLog, taken } from '../journey/asking.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { APP_PORT, deployment, pod, service } from '../journey/objects.ts';
import { until } from '../journey/until.ts';

const journey = journeys({ name: 'annotations' });

const P = 'cortexflow.io/';
const OTHER_PORT = 8081;
const NO_PROBE = 'none';
/** Of the pods; every client's address is in it, and no node's. */
const POD_NETWORKS = '10.244.0.0/16,fd00:244::/32';
const SERVICE_NETWORKS = '10.96.0.0/16,fd00:96::/112';

journey('connections that a pod makes bypass its sidecar where it says so', async (t, stage) => {
  await startServer(stage);
  await stage.apply(
    client('by-port', { [`${P}exclude-outbound-ports`]: '9000-9010, 8081' }),
    client('by-network', { [`${P}exclude-outbound-cidrs`]: SERVICE_NETWORKS }),
  );
  const [byPort, byNetwork] = await started(stage, 'by-port', 'by-network');
  const server = await stage.pod('server');
  const known = `${stage.namespace}/server`;

  t.is((await ask(stage, byPort!, `http://server:${OTHER_PORT}`)).pod, server.name);
  t.deepEqual(await taken(stage, byPort!, 'outbound'), {});
  t.is((await ask(stage, byPort!, `http://server:${APP_PORT}`)).pod, server.name);
  t.deepEqual(await taken(stage, byPort!, 'outbound'), { [known]: 1 });

  t.is((await ask(stage, byNetwork!, `http://server:${APP_PORT}`)).pod, server.name);
  t.deepEqual(await taken(stage, byNetwork!, 'outbound'), {});
  for (const url of urlsOf(server, APP_PORT)) t.is((await ask(stage, byNetwork!, url)).pod, server.name);
  t.deepEqual(await taken(stage, byNetwork!, 'outbound'), { 'pass-through': 2 });
});

journey('connections that are made to a pod bypass its sidecar where it says so', async (t, stage) => {
  await stage.apply(
    twoPorts('by-port', { [`${P}exclude-inbound-ports`]: String(OTHER_PORT) }),
    twoPorts('by-network', { [`${P}exclude-inbound-cidrs`]: POD_NETWORKS }),
    pod({ name: 'client', command: ['sleep', '600'], ready: NO_PROBE, annotations: DISABLED, ...AT_ONCE }),
  );
  const [byPort, byNetwork, asker] = await started(stage, 'by-port', 'by-network', 'client');
  const seen = async (server: Pod, port: number): Promise<readonly string[]> => {
    const answers = urlsOf(server, port).map((url) =>
      until(`an answer from ${url}`, () => tryToAsk(stage, asker!, url), Boolean),
    );
    return (await Promise.all(answers)).map((answer) => answer!.from);
  };
  // Whose connection is it: that of the client, or of the pod's own sidecar?
  t.deepEqual(await seen(byPort!, OTHER_PORT), asker!.addresses);
  t.deepEqual(await taken(stage, byPort!, 'inbound'), {});
  t.deepEqual(await seen(byPort!, APP_PORT), byPort!.addresses);
  t.deepEqual(await taken(stage, byPort!, 'inbound'), { [APP_PORT]: 2 });

  t.deepEqual(await seen(byNetwork!, APP_PORT), asker!.addresses);
  t.deepEqual(await taken(stage, byNetwork!, 'inbound'), {});
  const [node] = urlsOf(byNetwork!, APP_PORT);
  await stage.cluster.outside(['curl', '-sS', '--fail', '--max-time', '10', node!]);
  t.deepEqual(await taken(stage, byNetwork!, 'inbound'), { [APP_PORT]: 1 });
});

journey('upstreams, log level, image and resources are as the pod says', async (t, stage) => {
  await startServer(stage);
  await stage.apply(
    client('particular', {
      [`${P}upstreams`]: `127.0.0.1:15000=server.${stage.namespace}:${APP_PORT}`,
      [`${P}log-level`]: 'debug',
      [`${P}proxy-image`]: 'docker.io/cortexflow/sidecar:0.1.0',
      [`${P}proxy-cpu-request`]: '15m',
      [`${P}proxy-cpu-limit`]: '2',
      [`${P}proxy-memory-request`]: '48Mi',
      [`${P}proxy-memory-limit`]: '200Mi',
      [`${P}require-control-plane`]: 'true',
    }),
  );
  const [particular] = await started(stage, 'particular');
  const server = await stage.pod('server');
  t.is((await ask(stage, particular!, 'http://127.0.0.1:15000')).pod, server.name);
  t.deepEqual(await taken(stage, particular!, 'outbound'), { [`${stage.namespace}/server`]: 1 });

  const lines = await until(
    'a line about an ended connection in the log of the sidecar',
    () => sidecarLog(stage, 'particular'),
    (each) => each.some(({ message }) => message === 'Connection ended.'),
  );
  t.true(lines.some(({ level }) => level === 'debug'));

  const { spec, status } = await getJson<RunningPod>(stage.cluster, 'pod/particular', '-n', stage.namespace);
  t.deepEqual(
    spec.initContainers.map(({ image }) => image),
    ['docker.io/cortexflow/sidecar:0.1.0', 'docker.io/cortexflow/sidecar:0.1.0'],
  );
  t.deepEqual(status.initContainerStatuses.find(({ name }) => name === 'proxy-sidecar')?.resources, {
    requests: { cpu: '15m', memory: '48Mi' },
    limits: { cpu: '2', memory: '200Mi' },
  });
});

interface RunningPod {
  readonly spec: { readonly initContainers: readonly { readonly image: string }[] };
  readonly status: {
    /** `resources`: as the node has put them into force. */
    readonly initContainerStatuses: readonly { readonly name: string; readonly resources?: object }[];
  };
}

/** Each with what kubectl prints after the annotation and its value. */
const WRONG: readonly (readonly [annotation: string, value: string, what: string])[] = [
  [`${P}exclude-inbound-ports`, 'http', `"http" is no port: ${portsAre()}`],
  [`${P}exclude-inbound-ports`, '80,65536', `"65536" is no port: ${portsAre()}`],
  [`${P}exclude-outbound-ports`, '9-8', 'the range 9-8 ends before it begins: write 8-9'],
  [`${P}exclude-inbound-cidrs`, '10.0.0.1/8', '10.0.0.1/8 has bits set beyond its prefix: write 10.0.0.0/8'],
  [`${P}exclude-outbound-cidrs`, 'office', `"office" is no network: ${networksAre()}`],
  [
    `${P}upstreams`,
    '8080=hello.demo:80',
    'cannot listen on "8080": give an IP address and a port, such as 127.0.0.1:8080',
  ],
  [
    `${P}upstreams`,
    '127.0.0.1:5054=hello.demo:80',
    "listens on port 5054, which is the proxy's own, like all from 5053 to 5058: choose another",
  ],
  [`${P}log-level`, 'loud', 'use one of error, warn, info, debug'],
  [`${P}proxy-image`, 'Mine', 'has capital letters in "Mine": write mine'],
  [
    `${P}proxy-cpu-request`,
    '1 core',
    'is no amount of CPU: write thousandths of a core such as 100m, or cores such as 0.5',
  ],
  [`${P}proxy-cpu-limit`, '1u', 'is finer than a thousandth of a core: write whole thousandths, such as 10m'],
  [`${P}proxy-memory-request`, '64m', 'is less than a mebibyte: did you mean "64Mi"?'],
  [`${P}proxy-memory-limit`, '1GB', 'is no amount of memory: write mebibytes such as 64Mi, or bytes'],
  [`${P}require-control-plane`, 'yes', 'use "true" or "false"'],
  ['proxy-injection', 'no', 'use enabled or disabled'],
];

journey('a wrong annotation is refused by its name, with what to write instead', async (t, { cluster }) => {
  const tried = WRONG.map(([name, value], index) => ({
    name: `web-${index}`,
    annotations: { [name]: value },
  }));
  const { pods, complaints } = await tryPods(cluster, tried);
  t.deepEqual(pods, []);
  t.deepEqual(
    complaints,
    WRONG.map(
      ([name, value, what], index) =>
        'Error from server (BadRequest): error when creating "STDIN": admission webhook "inject.cortexflow.io" ' +
        `denied the request: pod web-${index}: annotation ${name} is ${JSON.stringify(value)}: ${what}`,
    ),
  );
});

journey(
  'an annotation that does nothing is warned of, and the pod is in the mesh',
  async (t, { cluster }) => {
    const { pods, complaints } = await tryPods(cluster, [{ annotations: { [`${P}log-levle`]: 'debug' } }]);
    t.deepEqual(pods.map(isInjected), [true]);
    t.deepEqual(complaints, [
      'Warning: pod web: annotation cortexflow.io/log-levle is unknown and does nothing: did you mean ' +
        'cortexflow.io/log-level?',
    ]);
  },
);

journey(
  'a Deployment tells of a wrong annotation of its pods, and comes up once it is right',
  async (t, stage) => {
    const name = 'mistaken';
    const annotated = (level: string): unknown =>
      deployment({ name, annotations: { [`${P}log-level`]: level } });
    await stage.apply(annotated('loud'));
    const told = await until(
      'the refusal in the description of the ReplicaSet',
      () => stage.kubectl(['describe', `replicaset`, '-l', `app=${name}`]),
      (text) => text.includes('denied the request'),
    );
    t.regex(told, /annotation cortexflow\.io\/log-level is "loud": use one of error, warn, info, debug/);
    await stage.apply(annotated('warn'));
    await stage.untilRolledOut(name);
    t.is((await stage.pods(name)).length, 1);
  },
);

const DISABLED = { 'proxy-injection': 'disabled' };
/** Nobody waits for what does not listen to signals. */
const AT_ONCE = { spec: { terminationGracePeriodSeconds: 0 } };

/** A Service of two ports that lead to the same. */
async function startServer(stage: Stage): Promise<void> {
  const ports = [APP_PORT, OTHER_PORT].map((port) => ({ name: `p${port}`, port, targetPort: APP_PORT }));
  await stage.apply(deployment({ name: 'server' }), service({ name: 'server', spec: { ports } }));
  await stage.untilRolledOut('server');
}

function client(name: string, annotations: Readonly<Record<string, string>>): unknown {
  return pod({ name, annotations, command: ['sleep', '600'], ready: NO_PROBE, ...AT_ONCE });
}

/** Without probes, so that every connection is of this test. */
function twoPorts(name: string, annotations: Readonly<Record<string, string>>): unknown {
  const both = `node /app/server.ts ${APP_PORT} & exec node /app/server.ts ${OTHER_PORT}`;
  return pod({ name, annotations, command: ['sh', '-c', both], ready: NO_PROBE, ...AT_ONCE });
}

async function started(stage: Stage, ...names: readonly string[]): Promise<readonly Pod[]> {
  const pods = names.map((name) => `pod/${name}`);
  await stage.kubectl(['wait', ...pods, '--for=condition=Ready', '--timeout=300s']);
  return Promise.all(names.map((name) => stage.pod(name)));
}

/** Undefined where nobody listens yet: the kernel refuses, and no sidecar hears of it. */
function tryToAsk(stage: Stage, asker: Pod, url: string): Promise<{ readonly from: string } | undefined> {
  return ask(stage, asker, url).catch((error: Error) => {
    if (error.message.includes('curl: (7)')) return undefined;
    throw error;
  });
}

/** One for each family. */
function urlsOf({ addresses }: Pod, port: number): readonly string[] {
  return addresses.map((address) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`);
}

function portsAre(): string {
  return 'use numbers from 1 to 65535 and ranges such as 8000-8010, with commas between';
}

function networksAre(): string {
  return 'use networks such as 10.0.0.0/8 or fd00::/8, with commas between';
}
