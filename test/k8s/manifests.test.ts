import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { readConfig as readControlPlaneConfig } from '../../control-plane/config.ts';
import { readConfig as readInjectorConfig } from '../../injector/config.ts';
import { whatIsMissing } from '../cluster/binaries.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { build, buildFiles, KUSTOMIZATIONS } from './kustomize.ts';
import { allOf, type Container, find, type Labels, type Manifest, type Webhook } from './manifest.ts';

const testWithKubectl = testThatNeeds(whatIsMissing(['kubectl'], []), test);

const TOP = join(import.meta.dirname, '..', '..');
const COMPONENTS = ['control-plane', 'injector'];

function selects(selector: Labels, labels: Labels): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}

/** The components whose pods these labels select. */
function selected(manifests: readonly Manifest[], selector: Labels): string[] {
  return allOf(manifests, 'Deployment')
    .filter(({ spec }) => selects(selector, spec.template.metadata.labels))
    .map(({ metadata }) => metadata.name);
}

function containerOf(manifests: readonly Manifest[], name: string): Container {
  const [container] = find(manifests, 'Deployment', name).spec.template.spec.containers;
  if (container === undefined) throw new Error(`${name} has no container`);
  return container;
}

function webhooksOf(manifests: readonly Manifest[]): readonly Webhook[] {
  return find(manifests, 'MutatingWebhookConfiguration', 'cortexflow-injector').webhooks;
}

for (const kustomization of KUSTOMIZATIONS) {
  testWithKubectl(`${kustomization}: selectors, ports and names lead to what is there`, async (t) => {
    const manifests = await build(kustomization);
    for (const name of COMPONENTS) {
      const { spec } = find(manifests, 'Deployment', name);
      const pod = spec.template.spec;
      const container = containerOf(manifests, name);
      t.deepEqual(selected(manifests, spec.selector.matchLabels), [name]);
      for (const { labelSelector } of pod.topologySpreadConstraints) {
        t.deepEqual(selected(manifests, labelSelector.matchLabels), [name]);
      }
      t.truthy(find(manifests, 'ServiceAccount', pod.serviceAccountName));
      t.truthy(find(manifests, 'PriorityClass', pod.priorityClassName));
      const named = new Set(container.ports.map((port) => port.name));
      for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
        t.true(named.has(probe.httpGet.port), `${name} has a port ${probe.httpGet.port}`);
      }

      const service = find(manifests, 'Service', name);
      t.deepEqual(selected(manifests, service.spec.selector), [name]);
      for (const { targetPort } of service.spec.ports) t.true(named.has(targetPort));

      const budget = find(manifests, 'PodDisruptionBudget', name);
      t.deepEqual(selected(manifests, budget.spec.selector.matchLabels), [name]);

      const policy = find(manifests, 'NetworkPolicy', name);
      t.deepEqual(selected(manifests, policy.spec.podSelector.matchLabels), [name]);
      const open = policy.spec.ingress.flatMap(({ ports }) => ports.map(({ port }) => port));
      t.deepEqual(
        open,
        container.ports.map(({ containerPort }) => containerPort),
      );
    }
  });

  testWithKubectl(
    `${kustomization}: every webhook calls the injector, without a caBundle of its own`,
    async (t) => {
      const manifests = await build(kustomization);
      const service = find(manifests, 'Service', 'injector');
      for (const { clientConfig } of webhooksOf(manifests)) {
        t.deepEqual(clientConfig, {
          service: {
            name: 'injector',
            namespace: 'cortexflow',
            path: '/mutate',
            port: service.spec.ports[0]?.port,
          },
        } as never);
      }
    },
  );

  testWithKubectl(`${kustomization}: a node can be drained`, async (t) => {
    const manifests = await build(kustomization);
    for (const { spec, metadata } of allOf(manifests, 'PodDisruptionBudget')) {
      t.is(spec.maxUnavailable, 1, metadata.name);
    }
  });

  testWithKubectl(`${kustomization}: every object is in the namespace, or names the mesh`, async (t) => {
    for (const { kind, metadata } of await build(kustomization)) {
      t.true(
        metadata.namespace === 'cortexflow' || /^cortexflow(?:-|$)/u.test(metadata.name),
        `${kind} ${metadata.namespace} ${metadata.name}`,
      );
    }
  });
}

const CONFIGS: Readonly<Record<string, typeof readControlPlaneConfig | typeof readInjectorConfig>> = {
  'control-plane': readControlPlaneConfig,
  injector: readInjectorConfig,
};

for (const [name, readConfig] of Object.entries(CONFIGS)) {
  testWithKubectl(
    `the ${name} understands every variable it is given, and has the time to end`,
    async (t) => {
      const manifests = await build('.');
      const { env, lifecycle } = containerOf(manifests, name);
      const given = new Map(env.map(({ name: variable, value }) => [variable, value ?? 'from-a-field']));
      const asked = new Set<string>();
      const result = readConfig((variable) => {
        asked.add(variable);
        return given.get(variable);
      });
      t.deepEqual(
        [...given.keys()].filter((variable) => !asked.has(variable)),
        [],
      );
      t.deepEqual('problems' in result ? result.problems : [], []);
      const shutdownMs = 'config' in result ? result.config.shutdownMs : 0;
      const before = Number(lifecycle?.preStop.exec.command.at(-1) ?? 0);
      const { terminationGracePeriodSeconds } = find(manifests, 'Deployment', name).spec.template.spec;
      t.true(terminationGracePeriodSeconds > before + shutdownMs / 1_000);
    },
  );
}

/** The files that docs/kubernetes.md shows under `my-mesh/`: for each kustomization what follows it. */
function documentedMeshes(): Record<string, string>[] {
  const meshes: Record<string, string>[] = [];
  const text = readFileSync(join(TOP, 'docs', 'kubernetes.md'), 'utf8');
  for (const [, name = '', content = ''] of text.matchAll(
    /^```yaml\n# my-mesh\/(\S+\.yaml)([^]*?)^```$/gmu,
  )) {
    if (name === 'kustomization.yaml') meshes.push({});
    Object.assign(meshes.at(-1) ?? {}, { [name]: `#${content}` });
  }
  return meshes;
}

testWithKubectl("documented: other images, the sidecar's among them", async (t) => {
  const [files] = documentedMeshes();
  const manifests = await buildFiles(files ?? {});
  const registry = 'registry.example.com/cortexflow';
  t.is(containerOf(manifests, 'control-plane').image, `${registry}/control-plane:0.1.0`);
  const { image, env } = containerOf(manifests, 'injector');
  t.is(image, `${registry}/injector:0.1.0`);
  const sidecarImage = { name: 'CORTEXFLOW_SIDECAR_IMAGE', value: `${registry}/sidecar:0.1.0` };
  const before = containerOf(await build('.'), 'injector').env;
  t.deepEqual(
    env,
    before.map((variable) => (variable.name === sidecarImage.name ? sidecarImage : variable)),
  );
});

testWithKubectl('documented: a certificate of cert-manager', async (t) => {
  const files = documentedMeshes().find((mesh) => 'certificate.yaml' in mesh);
  const manifests = await buildFiles(files ?? {});
  const { env, volumeMounts } = containerOf(manifests, 'injector');
  const directory = env.find(({ name }) => name === 'CORTEXFLOW_CERTIFICATE_DIRECTORY')?.value;
  t.deepEqual(
    volumeMounts?.map(({ mountPath }) => mountPath),
    [directory],
  );
  t.is(manifests.length, (await build('.')).length + 1);
  t.truthy(manifests.find(({ kind }) => kind === 'Certificate'));
});

testWithKubectl('documented: the guard', async (t) => {
  const files = documentedMeshes().find((mesh) => mesh['kustomization.yaml']?.includes('components:'));
  const manifests = await buildFiles(files ?? {});
  const added = manifests.filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'));
  t.is(added.length, 4);
  t.is(manifests.length, (await build('.')).length + added.length);
});

testWithKubectl('ha: two of each, kept apart', async (t) => {
  const manifests = await build('overlays/ha');
  for (const { spec } of allOf(manifests, 'Deployment')) {
    t.is(spec.replicas, 2);
    const [byNode] = spec.template.spec.topologySpreadConstraints;
    t.is(byNode?.topologyKey, 'kubernetes.io/hostname');
    t.is(byNode?.whenUnsatisfiable, 'DoNotSchedule');
  }
});

testWithKubectl('only fail-closed refuses a pod, and has two injectors for it', async (t) => {
  for (const kustomization of KUSTOMIZATIONS) {
    const manifests = await build(kustomization);
    const closed = webhooksOf(manifests).filter(({ failurePolicy }) => failurePolicy !== 'Ignore');
    t.is(closed.length, kustomization === 'overlays/fail-closed' ? 1 : 0, kustomization);
    if (closed.length > 0) t.is(find(manifests, 'Deployment', 'injector').spec.replicas, 2);
  }
});
