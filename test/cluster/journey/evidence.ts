/** What somebody who looks into a failed journey wants to see. */
import type { Cluster, Pod } from '../cluster.ts';
import { MESH_DEPLOYMENTS, MESH_NAMESPACE } from './mesh.ts';
import { sidecarPage } from './metrics.ts';

/** @param namespace of the journey */
export async function gatherEvidence(cluster: Cluster, namespace: string): Promise<string> {
  const logs = ['--all-containers', '--prefix', '--timestamps', '--tail=100', '--ignore-errors'];
  const parts = [
    section(cluster, ['get', 'pods', '-A', '-o', 'wide']),
    section(cluster, ['get', 'services,endpointslices', '-n', namespace, '-o', 'wide']),
    section(cluster, ['get', 'events', '-n', namespace, '--sort-by=.metadata.creationTimestamp']),
    ...MESH_DEPLOYMENTS.map((name) =>
      section(cluster, ['logs', `--selector=cortexflow.io/component=${name}`, '-n', MESH_NAMESPACE, ...logs]),
    ),
    ...(await podNames(cluster, namespace)).map((name) =>
      section(cluster, ['logs', name, '-n', namespace, ...logs]),
    ),
    ...(await readinessOfSidecars(cluster, namespace)),
  ];
  return (await Promise.all(parts)).join('\n');
}

async function section(cluster: Cluster, command: readonly string[]): Promise<string> {
  const { stdout, stderr } = await cluster.kubectl(command);
  return `--- kubectl ${command.join(' ')}\n${stdout}${stderr}`;
}

async function podNames(cluster: Cluster, namespace: string): Promise<readonly string[]> {
  const { stdout } = await cluster.kubectl(['get', 'pods', '-n', namespace, '-o', 'name']);
  return stdout.split('\n').filter((name) => name !== '');
}

async function readinessOfSidecars(cluster: Cluster, namespace: string): Promise<readonly Promise<string>[]> {
  const pods: readonly Pod[] = await cluster.pods(namespace, 'cortexflow.io/injected=true').catch(() => []);
  return pods.map(async (pod) => {
    const text = await sidecarPage(cluster, pod, '/readyz').catch(String);
    return `--- /readyz of the sidecar of ${pod.name}\n${text}`;
  });
}
