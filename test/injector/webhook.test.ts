/** The injector as a program of its own, called by a real API server. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import test from 'ava';
import * as fc from 'fast-check';
import { whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { until } from '../until.ts';
import { arbitraryPod } from './arbitrary-pod.ts';
import { InjectorCluster, type RunningInjector } from './cluster.ts';
import { PLAIN_POD, podReview } from './reviews.ts';

const missing = whyNoApiServer();
// One after another: they share a cluster.
const testInCluster = testThatNeeds(missing, test.serial);

let cluster: InjectorCluster;
let injector: RunningInjector;

test.before(async () => {
  if (missing !== undefined) return;
  cluster = await InjectorCluster.start();
  injector = await cluster.injector({ CORTEXFLOW_DRAIN_MS: '5000' });
  await cluster.configure(injector.address);
  await injector.ready();
});

test.after.always(async () => {
  await injector?.program.end('SIGKILL');
  await cluster?.stop();
});

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string; readonly [field: string]: unknown }[];
    readonly [field: string]: unknown;
  };
}

/** As `kubectl create --dry-run=server` does it: what it prints on standard error, and the pod. */
async function create(pod: object, namespace = 'default'): Promise<{ stderr: string; pod: Pod }> {
  const command = ['create', '--dry-run=server', '-o', 'json', '-n', namespace, '-f', '-'];
  const { code, stdout, stderr } = await cluster.server.kubectl(command, JSON.stringify(pod));
  return {
    stderr: stderr.trim(),
    pod: code === 0 ? JSON.parse(stdout) : { metadata: { name: '' }, spec: {} },
  };
}

function podWith(metadata: object, spec: object = {}): object {
  return {
    ...PLAIN_POD,
    metadata: { name: 'web', ...metadata },
    spec: { ...PLAIN_POD.spec, ...spec },
  };
}

function initContainers(pod: Pod): string[] {
  return (pod.spec.initContainers ?? []).map(({ name }) => name);
}

testInCluster('a pod is injected, and validates', async (t) => {
  const { stderr, pod } = await create(podWith({}));
  t.is(stderr, '');
  t.deepEqual(initContainers(pod), ['proxy-init', 'proxy-sidecar']);
  t.deepEqual(pod.metadata.labels, { 'cortexflow.io/injected': 'true' });
  const again = await create({ ...pod, metadata: { name: 'web', labels: pod.metadata.labels } });
  t.deepEqual(again.pod.spec, pod.spec);
});

testInCluster(
  'given an injected pod that was changed since, the API server has it injected anew',
  async (t) => {
    const { pod } = await create(podWith({}));
    const [init, sidecar] = pod.spec.initContainers ?? [];
    const { volumes } = pod.spec as { volumes: readonly { name: string }[] };
    const changes: Readonly<Record<string, object>> = {
      'no proxy-init': { initContainers: [sidecar] },
      'no sidecar': { initContainers: [init] },
      'no native sidecar': {
        initContainers: [init, { ...sidecar, restartPolicy: undefined, startupProbe: undefined }],
      },
      'another command': { initContainers: [init, { ...sidecar, command: ['sleep', '1'] }] },
      'in another order': { initContainers: [sidecar, init] },
      'no volume': {
        initContainers: [init, { ...sidecar, volumeMounts: [] }],
        volumes: volumes.filter(({ name }) => name !== 'cortexflow-state'),
      },
    };
    for (const [what, change] of Object.entries(changes)) {
      const metadata = { name: 'web', labels: pod.metadata.labels };
      const again = await create({ ...pod, metadata, spec: { ...pod.spec, ...change } });
      t.is(again.stderr, '', what);
      t.deepEqual(again.pod.spec.initContainers, pod.spec.initContainers, what);
      t.deepEqual(again.pod.spec['volumes'], volumes, what);
    }
    const renamed = { ...sidecar, env: [] };
    const { stderr } = await create({
      ...pod,
      metadata: { name: 'web' },
      spec: { ...pod.spec, initContainers: [renamed] },
    });
    t.regex(
      stderr,
      /denied the request: pod web: .*a container is called proxy-sidecar like the proxy's own/,
    );
  },
);

testInCluster('every wrong annotation, as kubectl prints it', async (t) => {
  const denied = 'admission webhook "inject.cortexflow.io" denied the request: pod web: annotation';
  const wrong: readonly (readonly [annotation: string, value: string, what: string])[] = [
    ['exclude-inbound-ports', 'http', '"http" is no port: use numbers from 1 to 65535 and ranges'],
    ['exclude-outbound-ports', '9-8', 'the range 9-8 ends before it begins: write 8-9'],
    ['exclude-inbound-cidrs', '10.0.0.1/8', '10.0.0.1/8 has bits set beyond its prefix: write 10.0.0.0/8'],
    ['exclude-outbound-cidrs', 'office', '"office" is no network: use networks such as 10.0.0.0/8'],
    ['upstreams', '8080=hello.demo:80', 'cannot listen on "8080": give an IP address and a port'],
    ['log-level', 'loud', 'use one of error, warn, info, debug'],
    ['proxy-image', 'Mine', 'has capital letters in "Mine": write mine'],
    ['proxy-cpu-request', '1 core', 'is no amount of CPU: write thousandths of a core such as 100m'],
    ['proxy-cpu-limit', '1u', 'is finer than a thousandth of a core'],
    ['proxy-memory-request', '64m', 'is less than a mebibyte: did you mean "64Mi"?'],
    ['proxy-memory-limit', '1GB', 'is no amount of memory: write mebibytes such as 64Mi, or bytes'],
    ['require-control-plane', 'yes', 'use "true" or "false"'],
  ];
  for (const [name, value, what] of wrong) {
    const { stderr } = await create(podWith({ annotations: { [`cortexflow.io/${name}`]: value } }));
    t.true(
      stderr.startsWith('Error from server (BadRequest): ') &&
        stderr.includes(`${denied} cortexflow.io/${name} is ${JSON.stringify(value)}: ${what}`),
      stderr,
    );
  }
  const { stderr } = await create(podWith({ annotations: { 'proxy-injection': 'no' } }));
  t.true(stderr.includes(`${denied} proxy-injection is "no": use enabled or disabled`), stderr);
});

testInCluster('warnings are printed, and the pod is made', async (t) => {
  const { stderr, pod } = await create(podWith({ annotations: { 'cortexflow.io/log-levle': 'info' } }));
  t.is(
    stderr,
    'Warning: pod web: annotation cortexflow.io/log-levle is unknown and does nothing: did you mean ' +
      'cortexflow.io/log-level?',
  );
  t.is(initContainers(pod).length, 2);
});

testInCluster('every ineligible kind is made as it is', async (t) => {
  const kinds: Readonly<Record<string, object>> = {
    'host network': podWith({}, { hostNetwork: true }),
    'a proxy of its own': podWith({}, { containers: [{ name: 'cortexflow-proxy', image: 'own:1' }] }),
    'an annotation': podWith({ annotations: { 'proxy-injection': 'disabled' } }),
    'a label': podWith({ labels: { 'proxy-injection': 'disabled' } }),
    Windows: podWith({}, { os: { name: 'windows' } }),
  };
  for (const [kind, pod] of Object.entries(kinds)) {
    const { stderr, pod: made } = await create(pod);
    t.deepEqual([stderr, initContainers(made)], ['', []], kind);
  }
  const component = podWith({ labels: { 'cortexflow.io/component': 'control-plane' } });
  t.deepEqual(initContainers((await create(component, 'cortexflow')).pod), []);
  t.is(initContainers((await create(component)).pod).length, 2);
  await cluster.server.createServiceAccount('default', 'kube-system');
  t.deepEqual(initContainers((await create(podWith({}), 'kube-system')).pod), []);
});

testInCluster('what a namespace says counts, from its first pod on', async (t) => {
  await cluster.server.createNamespace('left-out', { 'proxy-injection': 'disabled' });
  t.deepEqual(initContainers((await create(podWith({}), 'left-out')).pod), []);
  const asked = podWith({ annotations: { 'proxy-injection': 'enabled' } });
  t.is(initContainers((await create(asked, 'left-out')).pod).length, 2);
  await cluster.server.kubectl(['label', 'namespace', 'left-out', 'proxy-injection-']);
  await until(
    'pods of the namespace are injected',
    () => create(podWith({}), 'left-out'),
    ({ pod }) => initContainers(pod).length === 2,
  );
  await cluster.server.kubectl(['annotate', 'namespace', 'left-out', 'proxy-injection=disabled']);
  await until(
    'pods of the namespace are left alone',
    () => create(podWith({}), 'left-out'),
    ({ pod }) => initContainers(pod).length === 0,
  );
  t.pass();
});

testInCluster('where the API server would refuse the sidecar, a pod is made without', async (t) => {
  const label = { 'pod-security.kubernetes.io/enforce': 'baseline' };
  await cluster.server.createNamespace('guarded', label);
  const { stderr, pod } = await create(podWith({}), 'guarded');
  t.regex(
    stderr,
    /^Warning: pod web: not injected: namespace guarded enforces the Pod Security Standard baseline/,
  );
  t.deepEqual(initContainers(pod), []);
  // And this is why.
  const insisted = await create(podWith({ labels: { 'proxy-injection': 'enabled' } }), 'guarded');
  t.regex(insisted.stderr, /violates PodSecurity "baseline:latest".*NET_ADMIN/);
});

testInCluster('a pod with a budget of its own, tight as it may be, still validates', async (t) => {
  const budget = { requests: { cpu: '1m', memory: '1Mi' }, limits: { cpu: '1m', memory: '1Mi' } };
  const { stderr, pod } = await create(podWith({}, { resources: budget }));
  t.is(stderr, '');
  t.is(initContainers(pod).length, 2);
  t.deepEqual(pod.spec['resources'], budget);
});

testInCluster(
  'a thousand generated pods: each validates, keeps what was its own, and is injected once',
  async (t) => {
    t.timeout(240_000);
    const path = '/api/v1/namespaces/default/pods?dryRun=All';
    const made = async (body: object): Promise<Pod> => {
      const answer = await cluster.server.call({ method: 'POST', path, body });
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
      return answer.body as Pod;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryPod, { minLength: 8, maxLength: 8 }), async (pods) => {
        await Promise.all(
          pods.map(async (pod) => {
            const first = await made(pod);
            const [init, sidecar, ...others] = initContainers(first);
            t.deepEqual([init, sidecar], ['proxy-init', 'proxy-sidecar']);
            t.deepEqual(
              others,
              (pod.spec.initContainers ?? []).map(({ name }: { name: string }) => name),
            );
            const { name, labels, annotations } = first.metadata;
            const second = await made({ ...first, metadata: { name, labels, annotations } });
            t.deepEqual(second.spec, first.spec);
            t.deepEqual(second.metadata.labels, labels);
          }),
        );
      }),
      { numRuns: Number(process.env['CORTEXFLOW_TEST_PODS'] ?? 1_000) / 8 },
    );
  },
);

async function status(contentType: string, body: string | Buffer): Promise<string> {
  const [host = '', port = ''] = injector.address.split(':');
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  socket.on('error', () => {});
  socket.write(
    `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: ${contentType}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString().slice(9, 12);
}

testInCluster(
  'garbage straight to the port is told what is wrong with it, and disturbs nobody',
  async (t) => {
    t.is(await status('application/json', Buffer.alloc(5 * 1024 ** 2, 'x')), '413');
    t.is(await status('application/json', Buffer.alloc(3 * 1024 ** 2, '[')), '400');
    t.is(await status('application/json', '\0'), '400');
    t.is(await status('application/json', JSON.stringify(PLAIN_POD)), '400');
    t.is(
      await status('application/json', JSON.stringify(podReview(PLAIN_POD, { kind: { kind: 'Node' } }))),
      '400',
    );
    t.is(await status('application/yaml', 'kind: AdmissionReview'), '415');
    t.is(await status('application/json', JSON.stringify(podReview(PLAIN_POD))), '200');
    t.is((await create(podWith({}))).stderr, '');
  },
);

testInCluster('what was done is counted', async (t) => {
  for (const outcome of ['injected', 'skipped', 'rejected', 'error']) {
    t.true((await injector.metric(`cortexflow_injector_reviews_total{outcome="${outcome}"}`)) > 0, outcome);
  }
  const expiry = await injector.metric('cortexflow_injector_certificate_expiry_timestamp_seconds');
  t.true(expiry > Date.now() / 1000 + 80 * 86_400);
});

testInCluster('its role gave it all that it needed', (t) => {
  t.deepEqual(
    injector.program.log.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
});

const JSON_HEADERS = { 'content-type': 'application/json' };

/** Reviews one after another on kept connections; resolves once it was asked often enough to go elsewhere. */
async function reviewUntilTold(agent: Agent): Promise<void> {
  const [host = '', port = ''] = injector.address.split(':');
  for (let told = 0; told < 10;) {
    const asking = request({ host, port, agent, path: '/mutate', method: 'POST', headers: JSON_HEADERS });
    asking.end(JSON.stringify(podReview(PLAIN_POD)));
    const [response] = (await once(asking, 'response').catch((error: NodeJS.ErrnoException) => {
      // It has ended: what is refused a connection was never accepted.
      if (told > 0 && error.code === 'ECONNREFUSED') return [];
      throw error;
    })) as [IncomingMessage?];
    if (response === undefined) return;
    const answer = await text(response);
    if (!answer.includes('"allowed":true')) throw new Error(`${response.statusCode} ${answer}`);
    if (response.headers.connection === 'close') told += 1;
  }
}

testInCluster(
  'without the API server it stays ready and answers, and it ends without losing a review',
  async (t) => {
    await cluster.server.stopServer();
    t.is((await injector.page('/readyz')).status, 200);
    const before = await injector.metric(INJECTED);
    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
    const clients = [1, 2, 3, 4].map(() => reviewUntilTold(agent));
    await until(
      '100 more injected pods',
      () => injector.metric(INJECTED),
      (count) => count > before + 100,
    );
    const code = injector.program.end();
    await Promise.all(clients);
    t.is(await code, 0);
    agent.destroy();
  },
);

const INJECTED = 'cortexflow_injector_reviews_total{outcome="injected"}';
