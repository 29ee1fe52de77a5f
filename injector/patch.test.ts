import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import * as fc from 'fast-check';
import { arbitraryPod } from '../test/injector/arbitrary-pod.ts';
import { expand } from '../test/injector/expansion.ts';
import { applyPatch } from '../test/injector/json-patch.ts';
import { checkAndValidatePod } from './eligibility.ts';
import { type Operation, patchOf } from './patch.ts';
import { type Pod, readPod } from './pod.ts';
import { parseQuantity } from './options/quantity.ts';
import { proxyContainers, type ProxySettings } from './sidecar-containers.ts';

const settings: ProxySettings = {
  image: 'cortexflow/sidecar:0.1.0',
  controlPlane: ['control-plane.cortexflow.svc:18000', '10.96.0.7:18000'],
  adminHost: '0.0.0.0',
  resources: {
    cpuRequest: parseQuantity('20m'),
    memoryRequest: parseQuantity('64Mi'),
    memoryLimit: parseQuantity('256Mi'),
  },
};

function injectionOf(pod: Pod): Operation[] {
  const eligibility = checkAndValidatePod(pod, { name: 'demo' });
  if (eligibility.kind !== 'eligible') throw new Error(JSON.stringify(eligibility));
  return patchOf(pod, proxyContainers(eligibility.options, settings, Boolean(pod.spec.resources)));
}

interface WrittenContainer {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly resources: object;
  readonly securityContext: object;
}

function proxyOf(pod: Pod): readonly [WrittenContainer, WrittenContainer] {
  const injected = applyPatch(pod, injectionOf(pod));
  const [init, sidecar] = injected.spec.initContainers as unknown as WrittenContainer[];
  return [init!, sidecar!];
}

/** What a pod may have by fields or Services. */
const VARIABLES = { POD_IP: '10.0.0.1', CORTEXFLOW_POD_NAME: 'web' };

function bootstrapIn({ env }: WrittenContainer): { [field: string]: unknown } {
  return JSON.parse(expand(env.find(({ name }) => name === 'CORTEXFLOW_BOOTSTRAP')?.value ?? '', VARIABLES));
}

const bare: Pod = { metadata: {}, spec: { containers: [{ name: 'app' }] } };

test('a pod that has nothing yet', (t) => {
  t.deepEqual(
    injectionOf(bare).map(({ op, path }) => `${op} ${path}`),
    ['add /spec/initContainers', 'add /spec/volumes', 'add /metadata/labels'],
  );
});

test('a pod that has all of it: the proxy comes before the init containers that are there', (t) => {
  const pod: Pod = {
    metadata: { labels: { app: 'web' } },
    spec: { ...bare.spec, initContainers: [{ name: 'migrate' }], volumes: [{ name: 'data' }] },
  };
  t.deepEqual(
    injectionOf(pod).map(({ path }) => path),
    [
      '/spec/initContainers/0',
      '/spec/initContainers/1',
      '/spec/volumes/-',
      '/metadata/labels/cortexflow.io~1injected',
    ],
  );
  const { metadata, spec } = applyPatch(pod, injectionOf(pod));
  t.deepEqual(
    spec.initContainers?.map(({ name }) => name),
    ['proxy-init', 'proxy-sidecar', 'migrate'],
  );
  t.deepEqual(
    spec.volumes?.map(({ name }) => name),
    ['data', 'cortexflow-state'],
  );
  t.deepEqual(metadata.labels, { app: 'web', 'cortexflow.io/injected': 'true' });
});

test('security contexts say all that the pod could say otherwise', (t) => {
  const [init, sidecar] = proxyOf({
    ...bare,
    spec: { ...bare.spec, securityContext: { runAsUser: 1000 } },
  });
  t.deepEqual(init.securityContext, {
    runAsUser: 0,
    runAsGroup: 0,
    runAsNonRoot: false,
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
  });
  t.deepEqual(sidecar.securityContext, {
    runAsUser: 2102,
    runAsGroup: 2102,
    runAsNonRoot: true,
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
    capabilities: { drop: ['ALL'] },
  });
  t.is(sidecar.restartPolicy, 'Always');
});

test('both containers read the same bootstrap, and know who they are', (t) => {
  const [init, sidecar] = proxyOf(bare);
  t.deepEqual(init.env, sidecar.env);
  t.deepEqual(
    sidecar.env.map(({ name }) => name),
    [
      'CORTEXFLOW_POD_NAME',
      'CORTEXFLOW_NAMESPACE',
      'CORTEXFLOW_NODE_NAME',
      'CORTEXFLOW_NODE_ID',
      'CORTEXFLOW_BOOTSTRAP',
    ],
  );
  t.deepEqual(bootstrapIn(sidecar), {
    controlPlane: {
      addresses: ['control-plane.cortexflow.svc:18000', '10.96.0.7:18000'],
      required: false,
      waitMs: 10_000,
    },
    interception: {
      proxyUid: 2102,
      outbound: { port: 5054, exclude: { ports: [], cidrs: [] } },
      inbound: { port: 5056, exclude: { ports: [], cidrs: [] } },
    },
    dns: {},
    admin: { host: '0.0.0.0', port: 5058 },
    upstreams: [],
    log: { level: 'info', format: 'json' },
    lastGoodFile: '/var/lib/cortexflow/last-good.json',
  });
});

test('options reach the bootstrap and the containers', (t) => {
  const annotations = {
    'cortexflow.io/exclude-inbound-ports': '9090',
    'cortexflow.io/exclude-outbound-cidrs': '10.0.0.0/8',
    'cortexflow.io/upstreams': '127.0.0.1:8080=hello.demo:80',
    'cortexflow.io/log-level': 'debug',
    'cortexflow.io/proxy-image': 'mine:1',
    'cortexflow.io/require-control-plane': 'true',
  };
  const [init, sidecar] = proxyOf({ ...bare, metadata: { annotations } });
  const { controlPlane, interception, upstreams, log } = bootstrapIn(sidecar) as unknown as {
    controlPlane: { required: boolean };
    interception: { inbound: { exclude: object }; outbound: { exclude: object } };
    upstreams: object[];
    log: { level: string };
  };
  t.true(controlPlane.required);
  t.deepEqual(interception.inbound.exclude, { ports: ['9090'], cidrs: [] });
  t.deepEqual(interception.outbound.exclude, { ports: [], cidrs: ['10.0.0.0/8'] });
  t.deepEqual(upstreams, [{ listen: '127.0.0.1:8080', service: 'hello.demo:80' }]);
  t.is(log.level, 'debug');
  t.deepEqual([init.image, sidecar.image], ['mine:1', 'mine:1']);
});

test('given dollar signs in an annotation, the bootstrap arrives as it was written', (t) => {
  for (const path of ['$(POD_IP)', '$$', '$$(POD_IP)', '$$$(CORTEXFLOW_POD_NAME)$', "$&$'", '$']) {
    const annotations = { 'cortexflow.io/deliver-messages-to': `7000/${path}` };
    for (const container of proxyOf({ ...bare, metadata: { annotations } })) {
      t.deepEqual(bootstrapIn(container)['messages'], { deliverTo: `http://127.0.0.1:7000/${path}` });
    }
  }
});

function resources(annotations: Record<string, string>, spec: Partial<Pod['spec']> = {}): object {
  const [init, sidecar] = proxyOf({ metadata: { annotations }, spec: { ...bare.spec, ...spec } });
  if (JSON.stringify(init.resources) !== JSON.stringify(sidecar.resources)) throw new Error('they differ');
  return sidecar.resources;
}

test('resources: defaults, and how they give way to what the pod asks for', (t) => {
  t.deepEqual(resources({}), { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '256Mi' } });
  t.deepEqual(resources({ 'cortexflow.io/proxy-memory-limit': '48Mi' }), {
    requests: { cpu: '20m', memory: '48Mi' },
    limits: { memory: '48Mi' },
  });
  t.deepEqual(
    resources({ 'cortexflow.io/proxy-memory-request': '1Gi', 'cortexflow.io/proxy-cpu-limit': '10m' }),
    {
      requests: { cpu: '10m', memory: '1Gi' },
      limits: { cpu: '10m', memory: '1Gi' },
    },
  );
});

test('a pod with a budget of its own is not made to exceed it', (t) => {
  t.deepEqual(resources({}, { resources: { limits: { cpu: '1' } } }), { requests: {}, limits: {} });
  t.deepEqual(resources({ 'cortexflow.io/proxy-cpu-request': '10m' }, { resources: {} }), {
    requests: { cpu: '10m' },
    limits: {},
  });
});

test('a pod that has the label already gets no second one', (t) => {
  const pod: Pod = { ...bare, metadata: { labels: { 'cortexflow.io/injected': 'false' } } };
  t.deepEqual(applyPatch(pod, injectionOf(pod)).metadata.labels, { 'cortexflow.io/injected': 'true' });
});

test('whatever the pod: all that was there stays', (t) => {
  fc.assert(
    fc.property(arbitraryPod, (object) => {
      const read = readPod(object);
      if (!read.ok) throw new Error(read.why);
      const pod = applyPatch(read.pod, injectionOf(read.pod));
      const { initContainers = [], volumes = [], ...spec } = pod.spec;
      const { initContainers: initBefore = [], volumes: volumesBefore = [], ...specBefore } = read.pod.spec;
      deepStrictEqual(spec, specBefore);
      deepStrictEqual(initContainers.slice(2), [...initBefore]);
      deepStrictEqual(volumes.slice(0, -1), [...volumesBefore]);
      deepStrictEqual(pod.metadata, {
        ...read.pod.metadata,
        labels: { ...read.pod.metadata.labels, 'cortexflow.io/injected': 'true' },
      });
    }),
    { numRuns: 500 },
  );
  t.pass();
});

function why(object: unknown): string {
  const read = readPod(object);
  return read.ok ? 'ok' : read.why;
}

test('objects that are no pods are refused with the field, and never throw', (t) => {
  t.is(why(null), ' is not an object');
  t.is(why({ metadata: {} }), 'spec is not an object');
  t.is(why({ metadata: {}, spec: { containers: [{}] } }), 'spec.containers[0].name is not text');
  t.is(why({ metadata: { labels: { a: 1 } }, spec: { containers: [] } }), 'metadata.labels["a"] is not text');
  t.is(
    why({ metadata: {}, spec: { containers: [{ name: 'a', ports: [{ containerPort: '80' }] }] } }),
    'spec.containers[0].ports[0].containerPort is not a number',
  );
  t.is(why({ metadata: { labels: null }, spec: { containers: [], volumes: null } }), 'ok');
});

test('anything at all in place of a pod', (t) => {
  const field = fc.oneof(
    fc.jsonValue(),
    fc.array(fc.record({ name: fc.jsonValue(), ports: fc.jsonValue() })),
  );
  const object = fc.record({
    metadata: fc.oneof(fc.jsonValue(), fc.record({ name: field, labels: field, annotations: field })),
    spec: fc.oneof(
      fc.jsonValue(),
      fc.record(
        { containers: field, initContainers: field, volumes: field, securityContext: field, os: field },
        { requiredKeys: ['containers'] },
      ),
    ),
  });
  fc.assert(
    fc.property(object, (value) => {
      const read = readPod(value);
      if (!read.ok) return;
      const eligibility = checkAndValidatePod(read.pod, { name: 'demo' });
      if (eligibility.kind === 'eligible') applyPatch(read.pod, injectionOf(read.pod));
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
