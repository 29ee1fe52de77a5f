/**
 * A journey is a test on the cluster that is up, in a namespace of its own that is gone afterwards. One that fails
 * shows the pods, events and logs of what it used.
 */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { recordTimes } from '../../runner/times.ts';
import { within } from '../../until.ts';
import { Cluster, type Pod } from '../cluster.ts';
import { testThatNeeds } from '../requirement.ts';
import { gatherEvidence } from './evidence.ts';
import { Load, type LoadOptions, loadPod } from './load.ts';
import { INSTALLED_VARIABLE, installMesh, type Overlay } from './mesh.ts';
import { type Metrics, sidecarMetrics } from './metrics.ts';
import { until } from './until.ts';

/** More than any takes: each of its waits has a deadline of its own, which says more. */
const JOURNEY_MS = 600_000;

const started = recordTimes(relative(process.cwd(), fileURLToPath(test.meta.file)));

/** What a journey plays on. */
export class Stage {
  readonly cluster: Cluster;
  readonly namespace: string;

  constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
  }

  /** kubectl with this namespace; anything but success rejects with what it complained of. */
  kubectl(args: readonly string[], stdin = ''): Promise<string> {
    return this.cluster.mustKubectl([...args, '-n', this.namespace], stdin);
  }

  /** @param objects without a namespace: they are put into this one */
  apply(...objects: readonly unknown[]): Promise<string> {
    return this.kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
  }

  /** Resolves when all pods of these Deployments are as they were last applied, and ready. */
  async untilRolledOut(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=300s']);
    }
  }

  /** Those of a Deployment or Pod that objects.ts made. */
  pods(app: string): Promise<readonly Pod[]> {
    return this.cluster.pods(this.namespace, `app=${app}`);
  }

  async pod(app: string): Promise<Pod> {
    const [pod] = await this.pods(app);
    if (pod === undefined) throw new Error(`There is no pod with the label app=${app} in ${this.namespace}`);
    return pod;
  }

  metrics(pod: Pod): Promise<Metrics> {
    return sidecarMetrics(this.cluster, pod);
  }

  /**
   * Resolves when the pod's sidecar has found a control plane. Before that, endpoints that it does not know are left to
   * kube-proxy, which goes on for a while to choose those that have ended.
   */
  async untilConnected(pod: Pod): Promise<void> {
    await until(
      `a control plane for the sidecar of ${pod.name}`,
      () => this.metrics(pod),
      (metrics) => metrics.sum('cortexflow_control_plane_connected') === 1,
    );
  }

  /** Resolves when requests are being sent. */
  async startLoad(options: LoadOptions): Promise<Load> {
    const { name = 'load' } = options;
    await this.apply(loadPod(options));
    await this.kubectl(['wait', `pod/${name}`, '--for=condition=Ready', '--timeout=300s']);
    return new Load(this.cluster, await this.pod(name));
  }
}

type Declare = (title: string, play: (t: ExecutionContext, stage: Stage) => Promise<void>) => void;

export interface JourneysOptions {
  /** Unique among all journeys: their namespaces are `journey-<name>-<number>`. */
  readonly name: string;
  /** What is installed before the first one. Default: `kubectl apply -k k8s/`. */
  readonly mesh?: Overlay | 'default' | 'none';
}

/** For one file: what declares its journeys. */
export function journeys({ name, mesh = 'default' }: JourneysOptions): Declare {
  const cluster = Cluster.find();
  const declare = testThatNeeds(cluster ? undefined : 'no cluster is up: npm run cluster', test.serial);
  let count = 0;
  test.before(async () => {
    if (!cluster || mesh === 'none' || process.env[INSTALLED_VARIABLE] === mesh) return;
    const overlay = mesh === 'default' ? undefined : mesh;
    await timed(`mesh: ${mesh}`, () => installMesh(cluster, overlay));
  });
  return (title, play) => {
    const namespace = `journey-${name}-${++count}`;
    declare(title, (t) => playIn(t, new Stage(cluster!, namespace), play));
  };
}

async function playIn(t: ExecutionContext, stage: Stage, play: Parameters<Declare>[1]): Promise<void> {
  const { cluster, namespace } = stage;
  // The next journey does not wait for these pods to end.
  t.teardown(() => cluster.startToDeleteNamespace(namespace));
  try {
    await timed(t.title, async () => {
      await cluster.deleteNamespace(namespace);
      await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
      await play(t, stage);
    });
  } catch (error) {
    t.log(await gatherEvidence(cluster, namespace));
    throw error;
  }
}

/** Records how long it took, and rejects when it takes too long. */
async function timed(title: string, action: () => Promise<void>): Promise<void> {
  const ended = started(title);
  try {
    await within(`“${title}”`, action(), { withinMs: JOURNEY_MS });
  } finally {
    ended();
  }
}
