import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import * as fc from 'fast-check';
import { arbitraryPod } from '../test/injector/arbitrary-pod.ts';
import { applyPatch } from '../test/injector/json-patch.ts';
import { checkAndValidatePod } from './eligibility.ts';
import { createInjection } from './injection.ts';
import { type Pod, readPod } from './pod.ts';

const injection = createInjection({
  image: 'cortexflow/sidecar:0.1.0',
  controlPlane: ['control-plane.cortexflow.svc:18000'],
  adminHost: '0.0.0.0',
  resources: {},
});

type Review =
  | { readonly kind: 'injected'; readonly pod: Pod }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly why: string };

/** As a webhook reviews the pod, whatever it was before. */
function review(object: unknown): Review {
  const read = readPod(object);
  if (!read.ok) return { kind: 'refused', why: read.why };
  const eligibility = checkAndValidatePod(read.pod, { name: 'demo' });
  if (eligibility.kind === 'mistaken') return { kind: 'refused', why: eligibility.mistakes.join('; ') };
  if (eligibility.kind === 'ineligible') throw new Error(eligibility.reason);
  const patch = injection(read.pod, eligibility.options);
  if (patch === undefined) return { kind: 'unchanged' };
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString());
  return { kind: 'injected', pod: applyPatch(read.pod, operations) };
}

function injected(object: unknown): Pod {
  const reviewed = review(object);
  if (reviewed.kind !== 'injected') throw new Error(JSON.stringify(reviewed));
  return reviewed.pod;
}

const PLAIN = { metadata: { name: 'web' }, spec: { containers: [{ name: 'app', image: 'app:1' }] } };

type Path = readonly (string | number)[];

/** To every value in what an injection adds, and to the parts as wholes. */
function pathsIn(value: unknown, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inside = Object.entries(value).flatMap(([key, member]) =>
    pathsIn(member, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inside];
}

function addedPaths({ spec }: Pod): Path[] {
  const volume = (spec.volumes?.length ?? 0) - 1;
  return [
    ...[0, 1].flatMap((at) => pathsIn(spec.initContainers?.[at], ['spec', 'initContainers', at])),
    ...pathsIn(spec.volumes?.[volume], ['spec', 'volumes', volume]),
    ['metadata', 'labels', 'cortexflow.io/injected'],
  ];
}

type Json = Record<string | number, unknown>;

/** A copy with one value taken out, or replaced. */
function changed(pod: Pod, path: Path, replacement: unknown): Pod {
  const copy = structuredClone(pod);
  const parent = path.slice(0, -1).reduce<Json>((at, step) => at[step] as Json, copy as unknown as Json);
  const last = path.at(-1) ?? '';
  if (replacement !== undefined) parent[last] = replacement;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

/** What is the pod's own, told apart by names alone. */
function own(pod: Pod): Pod {
  const { metadata, spec } = pod;
  const { 'cortexflow.io/injected': _, ...labels } = metadata.labels ?? {};
  return {
    ...pod,
    metadata: { ...metadata, labels },
    spec: {
      ...spec,
      containers: spec.containers.filter(isOwn),
      initContainers: (spec.initContainers ?? []).filter(isOwn),
      volumes: (spec.volumes ?? []).filter(isOwn),
    },
  };
}

function isOwn({ name }: { readonly name: string }): boolean {
  return !['proxy-init', 'proxy-sidecar', 'cortexflow-state'].includes(name);
}

const replacement = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  fc.constantFrom<unknown>(null, '', 'proxy', 0, 7, true, false, [], {}, [{ name: 'x' }], { name: 'x' }),
);

/** Of what may be set by others, any value will do. */
function isFree(path: Path): boolean {
  return ['image', 'resources'].includes(String(path[3]));
}

/** Whether a change like this leaves the pod as an injection would have it. */
function changesNothing(pod: Pod, other: Pod): boolean {
  return JSON.stringify(pod) === JSON.stringify(other);
}

test('given an injected pod with any part missing or changed, injects it anew or refuses it', (t) => {
  const outcomes = { injected: 0, refused: 0, unchanged: 0 };
  fc.assert(
    fc.property(arbitraryPod, fc.nat(), replacement, (object, place, value) => {
      const whole = injected(object);
      deepStrictEqual(review(whole), { kind: 'unchanged' });
      const paths = addedPaths(whole);
      const path = paths[place % paths.length] ?? [];
      const mutant = changed(whole, path, value);
      const again = review(mutant);
      outcomes[again.kind] += 1;
      if (again.kind === 'injected') {
        deepStrictEqual(again.pod, injected(own(mutant)));
        deepStrictEqual(review(again.pod), { kind: 'unchanged' });
      } else if (again.kind === 'unchanged' && !isFree(path) && !changesNothing(mutant, whole)) {
        throw new Error(`still taken for injected with ${path.join('.')} ${JSON.stringify(value)}`);
      }
    }),
    { numRuns: 3_000 },
  );
  t.true(
    outcomes.injected > 1_000 && outcomes.refused > 10 && outcomes.unchanged > 10,
    JSON.stringify(outcomes),
  );
});

test('given an injected pod with its containers in any other places, injects it anew', (t) => {
  const whole = injected({
    ...PLAIN,
    spec: { ...PLAIN.spec, initContainers: [{ name: 'migrate' }], volumes: [{ name: 'data' }] },
  });
  const [init, sidecar, migrate] = whole.spec.initContainers ?? [];
  const orders = [
    [sidecar, init, migrate],
    [init, migrate, sidecar],
    [migrate, init, sidecar],
    [init, init, sidecar, migrate],
    [init, sidecar, sidecar, migrate],
    [init, migrate],
    [sidecar, migrate],
  ];
  for (const initContainers of orders) {
    t.deepEqual(injected({ ...whole, spec: { ...whole.spec, initContainers } }), whole);
  }
  const containers = [...whole.spec.containers, sidecar];
  t.deepEqual(injected({ ...whole, spec: { ...whole.spec, containers } }), whole);
  const withoutContainers = { ...whole, spec: { ...whole.spec, initContainers: [migrate] } };
  t.deepEqual(injected(withoutContainers), whole);
});

function withSidecar(change: (sidecar: Json) => Json): Pod {
  const whole = injected(PLAIN);
  const [init, sidecar] = (whole.spec.initContainers ?? []) as unknown as Json[];
  return { ...whole, spec: { ...whole.spec, initContainers: [init, change(sidecar ?? {})] as never } };
}

test('given what API servers and other webhooks add to all containers, leaves the pod as it is', (t) => {
  const defaulted = withSidecar((sidecar) => ({
    ...sidecar,
    image: 'mirror.example/cortexflow/sidecar:0.1.0',
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePath: '/dev/termination-log',
    resources: { limits: { cpu: '1' } },
    env: [{ name: 'HTTP_PROXY', value: 'http://proxy.example' }, ...(sidecar['env'] as Json[])],
    volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets' }, ...(sidecar['volumeMounts'] as Json[])],
    startupProbe: { ...(sidecar['startupProbe'] as Json), timeoutSeconds: 1 },
    securityContext: { ...(sidecar['securityContext'] as Json), seLinuxOptions: { type: 'spc_t' } },
    livenessProbe: null,
  }));
  t.deepEqual(review(defaulted), { kind: 'unchanged' });
});

test('given a sidecar to which is added what makes another program of it, injects it anew', (t) => {
  const clean = injected(PLAIN);
  const additions: Readonly<Record<string, (sidecar: Json) => Json>> = {
    command: () => ({ command: ['sleep'] }),
    args: () => ({ args: ['--version'] }),
    envFrom: () => ({ envFrom: [{ configMapRef: { name: 'x' } }] }),
    lifecycle: () => ({ lifecycle: { postStart: { exec: { command: ['kill', '1'] } } } }),
    variable: ({ env }) => ({ env: [...(env as Json[]), { name: 'CORTEXFLOW_UPSTREAMS', value: '' }] }),
    'a second one': ({ env }) => ({
      env: [...(env as Json[]), { name: 'CORTEXFLOW_BOOTSTRAP', value: '{}' }],
    }),
    'for Node': ({ env }) => ({ env: [...(env as Json[]), { name: 'NODE_OPTIONS', value: '-r x' }] }),
    capability: ({ securityContext }) => ({
      securityContext: {
        ...(securityContext as Json),
        capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] },
      },
    }),
  };
  for (const [what, addition] of Object.entries(additions)) {
    t.deepEqual(injected(withSidecar((sidecar) => ({ ...sidecar, ...addition(sidecar) }))), clean, what);
  }
});

test('given a pod whose annotations were changed after its injection, injects it anew', (t) => {
  const whole = injected(PLAIN);
  const annotations = { 'cortexflow.io/log-level': 'debug' };
  const asked = { ...PLAIN, metadata: { ...PLAIN.metadata, annotations } };
  t.deepEqual(
    injected({ ...whole, metadata: { ...whole.metadata, annotations } }).spec,
    injected(asked).spec,
  );
});

test('given a volume and a label that look like ours without the containers, adopts them', (t) => {
  const whole = injected(PLAIN);
  const half = { ...whole, spec: { ...PLAIN.spec, volumes: whole.spec.volumes } };
  t.deepEqual(injected(half).spec.volumes, whole.spec.volumes);
  const otherVolume = [{ name: 'cortexflow-state', emptyDir: {} }];
  t.is(review({ ...half, spec: { ...PLAIN.spec, volumes: otherVolume } }).kind, 'refused');
  t.is(review({ ...PLAIN, spec: { ...PLAIN.spec, volumes: whole.spec.volumes } }).kind, 'refused');
});
