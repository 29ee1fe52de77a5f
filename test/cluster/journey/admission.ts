/** What the API server makes of pods, with the mesh's webhook in it. None of them comes to be. */
import type { Cluster } from '../cluster.ts';
import { APP } from './objects.ts';

/** Of a pod, as much as decides what becomes of it. */
export interface TriedPod {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: object;
}

export interface MadePod {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly initContainers?: readonly MadeContainer[];
    readonly containers: readonly MadeContainer[];
    readonly [field: string]: unknown;
  };
}

export interface MadeContainer {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

export interface Tried {
  /** Those that would be made, as they would be, in their order. */
  readonly pods: readonly MadePod[];
  /** What kubectl complains of: warnings, and refusals, a line each. */
  readonly complaints: readonly string[];
}

/** `kubectl create --dry-run=server` of these pods, at once. */
export async function tryPods(cluster: Cluster, pods: readonly TriedPod[]): Promise<Tried> {
  const items = pods.map(({ name = 'web', namespace = 'default', labels, annotations, spec }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations },
    spec: { containers: [{ name: 'app', image: APP }], ...spec },
  }));
  const command = ['create', '--dry-run=server', '-o', 'json', '-f', '-'];
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { stdout, stderr } = await cluster.kubectl(command, list);
  return { pods: documents(stdout), complaints: stderr.split('\n').filter((line) => line !== '') };
}

/** Whether the mesh put its containers in, and in front. */
export function isInjected({ metadata, spec }: MadePod): boolean {
  const [init, sidecar] = spec.initContainers ?? [];
  return (
    init?.name === 'proxy-init' &&
    sidecar?.name === 'proxy-sidecar' &&
    metadata.labels?.['cortexflow.io/injected'] === 'true'
  );
}

/** kubectl prints one object after another; only what encloses all of one stands at the beginning of a line. */
function documents(text: string): readonly MadePod[] {
  return text
    .split(/^\}$/m)
    .filter((each) => each.trim() !== '')
    .map((each) => JSON.parse(`${each}}`) as MadePod);
}
