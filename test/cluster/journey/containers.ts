/** Containers of running pods, one by one. */
import type { Cluster, Pod } from '../cluster.ts';
import type { NodeName } from '../layout.ts';
import type { Stage } from './journey.ts';

export interface ContainerStatus {
  readonly name: string;
  /** `containerd://<id>` */
  readonly containerID?: string;
  readonly restartCount: number;
  readonly ready: boolean;
  readonly started?: boolean;
  readonly state: { readonly terminated?: { readonly exitCode: number; readonly message?: string } };
}

/** Init containers, of which the sidecar is one, among them. */
export async function containers(stage: Stage, pod: string): Promise<readonly ContainerStatus[]> {
  const { status } = JSON.parse(await stage.kubectl(['get', 'pod', pod, '-o', 'json'])) as {
    status: Record<'containerStatuses' | 'initContainerStatuses', ContainerStatus[] | undefined>;
  };
  return [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
}

/** Rejects when the pod has none of that name. */
export async function container(stage: Stage, pod: string, name: string): Promise<ContainerStatus> {
  const found = (await containers(stage, pod)).find((one) => one.name === name);
  if (found === undefined) throw new Error(`Pod ${pod} has no container ${name} yet`);
  return found;
}

/** Sends a signal to a container's first process, by its node alone. */
export async function signalContainer(
  cluster: Cluster,
  { node }: Pod,
  { containerID }: ContainerStatus,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  const id = containerID!.replace('containerd://', '');
  const command = ['ctr', '--namespace=k8s.io', 'tasks', 'kill', '--signal', signal, id];
  const { code, stderr } = await cluster.onNode(node as NodeName, command);
  if (code !== 0) throw new Error(`Container ${id} was not sent ${signal}: ${stderr}`);
}
