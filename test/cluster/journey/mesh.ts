/** CortexFlow on the cluster, as `kubectl apply -k` puts it there. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster, Pod } from '../cluster.ts';
import { stateDirectory } from '../layout.ts';
import { whileLocked } from '../lock.ts';
import { APP } from './objects.ts';
import { until } from './until.ts';

const manifests = fileURLToPath(new URL('../../../k8s/', import.meta.url));
export const MESH_NAMESPACE = 'cortexflow';
export const MESH_DEPLOYMENTS = ['control-plane', 'injector'] as const;
export type MeshDeployment = (typeof MESH_DEPLOYMENTS)[number];
/** Which mesh is installed before the first file, for files that leave it as it is. */
export const INSTALLED_VARIABLE = 'CORTEXFLOW_JOURNEYS_MESH';
/** Written when nodes get other images. */
const IMPORTED_FILE = join(stateDirectory, 'images.json');
const LOCK_FILE = join(stateDirectory, 'mesh.lock');
const WAIT = ['--wait=true', '--timeout=300s'];

export type Overlay = 'ha' | 'fail-closed' | 'opt-in';

/** Resolves when the mesh as the tree says runs, and pods of `default` are injected (under `opt-in`: could be). */
export async function installMesh(cluster: Cluster, overlay?: Overlay): Promise<void> {
  // Files of journeys that share the mesh all begin with this.
  await whileLocked(LOCK_FILE, async () => {
    await cluster.mustKubectl(['apply', '-k', meshDirectory(overlay)]);
    await restartOlderThanImages(cluster);
    await untilMeshIsReady(cluster);
  });
}

/** With everything that was applied. Resolves when it is gone. */
export async function removeMesh(cluster: Cluster, overlay?: Overlay): Promise<void> {
  await cluster.mustKubectl(['delete', '-k', meshDirectory(overlay), '--ignore-not-found', ...WAIT]);
}

/** Those of one of its parts. */
export function meshPods(cluster: Cluster, part: MeshDeployment): Promise<readonly Pod[]> {
  return cluster.pods(MESH_NAMESPACE, `cortexflow.io/component=${part}`);
}

/** Resolves when none of its pods is left; installMesh() brings it back. */
export async function removeMeshDeployment(cluster: Cluster, part: MeshDeployment): Promise<void> {
  const inNamespace = ['-n', MESH_NAMESPACE];
  await cluster.mustKubectl(['delete', 'deployment', part, '--cascade=foreground', ...WAIT, ...inNamespace]);
  const labels = `cortexflow.io/component=${part}`;
  await cluster.mustKubectl(['wait', 'pod', '-l', labels, '--for=delete', '--timeout=120s', ...inNamespace]);
}

export function meshDirectory(overlay?: Overlay): string {
  return overlay === undefined ? manifests : join(manifests, 'overlays', overlay);
}

/** Also after an outage: it is there, the former one is gone, and a new pod gets its sidecar. */
export async function untilMeshIsReady(cluster: Cluster): Promise<void> {
  const where = ['-n', MESH_NAMESPACE, '--timeout=300s'];
  await Promise.all(
    MESH_DEPLOYMENTS.map((name) =>
      cluster.mustKubectl(['rollout', 'status', `deployment/${name}`, ...where]),
    ),
  );
  await untilNoPodsAreEnding(cluster);
  await until('injection of a new pod', () => wouldInject(cluster), Boolean);
}

/**
 * Pods that were told to end go on answering for a while: what comes to them by connections that are kept, an API
 * server's among them, is in no metric of those that stay.
 */
export async function untilNoPodsAreEnding(cluster: Cluster): Promise<void> {
  const ending = 'jsonpath={.items[?(@.metadata.deletionTimestamp)].metadata.name}';
  const names = await cluster.mustKubectl(['get', 'pods', '-n', MESH_NAMESPACE, '-o', ending]);
  for (const name of names.split(' ').filter((each) => each !== '')) {
    const pod = ['pod', name, '-n', MESH_NAMESPACE];
    await cluster.mustKubectl(['wait', ...pod, '--for=delete', '--timeout=300s']);
  }
}

/** Whether a pod that is created now gets a sidecar. None is created. */
export async function wouldInject(cluster: Cluster): Promise<boolean> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'probe-', namespace: 'default', labels: { 'proxy-injection': 'enabled' } },
    spec: { containers: [{ name: 'probe', image: APP }] },
  };
  const names = 'jsonpath={.spec.initContainers[*].name}';
  const command = ['create', '--dry-run=server', '-o', names, '-f', '-'];
  const { code, stdout } = await cluster.kubectl(command, JSON.stringify(pod));
  return code === 0 && stdout.split(' ').includes('proxy-sidecar');
}

/** A tag that means another image than before restarts no pod. */
async function restartOlderThanImages(cluster: Cluster): Promise<void> {
  const importedAt = statSync(IMPORTED_FILE).mtimeMs;
  const created = String.raw`jsonpath={range .items[*]}{.metadata.creationTimestamp}{"\n"}{end}`;
  for (const name of MESH_DEPLOYMENTS) {
    const labels = `cortexflow.io/component=${name}`;
    const times = await cluster.mustKubectl([
      'get',
      'pods',
      '-n',
      MESH_NAMESPACE,
      '-l',
      labels,
      '-o',
      created,
    ]);
    if (times.split('\n').some((time) => time !== '' && Date.parse(time) < importedAt)) {
      await cluster.mustKubectl(['rollout', 'restart', `deployment/${name}`, '-n', MESH_NAMESPACE]);
    }
  }
}
