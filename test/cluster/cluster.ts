/** A running cluster, as tests and people use it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';
import { type Access, type Answer, call, type Call } from './api-client.ts';
import { binaryPath } from './binaries.ts';
import { mustRun, type Output, run } from './command.ts';
import { Daemon } from './daemon.ts';
import { kubeconfigPath, NODES, type NodeName, OUTSIDE, SERVER_NODE, stateDirectory } from './layout.ts';
import { Machine } from './machine.ts';

/** More than the `--timeout` of any kubectl, which says what it has waited for. */
const COMMAND_LIMITS = { withinMs: 360_000 };
export const ADMIN_FILE = join(stateDirectory, 'admin.json');

export class Cluster {
  readonly kubeconfig = kubeconfigPath;
  /** As somebody who may do everything, from this machine. */
  readonly admin: Access;

  /** @param admin how this machine reaches the API server */
  constructor(admin: Access) {
    this.admin = admin;
  }

  /** The one that is up. Undefined when it is down, or half of it is. */
  static find(): Cluster | undefined {
    if ([OUTSIDE, ...NODES].some(({ name }) => Machine.find(name) === undefined)) return undefined;
    try {
      return new Cluster(JSON.parse(readFileSync(ADMIN_FILE, 'utf8')) as Access);
    } catch {
      return undefined;
    }
  }

  /** As the admin. Every status resolves. */
  call(request: Call): Promise<Answer> {
    return call(this.admin, request);
  }

  /** Any exit code resolves. */
  kubectl(args: readonly string[], stdin = ''): Promise<Output> {
    return run(this.#kubectl(args), stdin, COMMAND_LIMITS);
  }

  /** As kubectl(), but anything but success rejects with what it complained of. Resolves with its output. */
  mustKubectl(args: readonly string[], stdin = ''): Promise<string> {
    return mustRun(this.#kubectl(args), stdin, COMMAND_LIMITS);
  }

  /** @param objects Kubernetes objects, or YAML as text */
  apply(objects: readonly unknown[] | string): Promise<string> {
    const text =
      typeof objects === 'string'
        ? objects
        : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    return this.mustKubectl(['apply', '-f', '-'], text);
  }

  /** Removes it with all that is in it, and resolves when all is gone. */
  async deleteNamespace(name: string): Promise<void> {
    const wait = ['--wait=true', '--timeout=300s'];
    await this.mustKubectl(['delete', 'namespace', name, '--ignore-not-found', ...wait]);
  }

  /** As deleteNamespace(), but resolves at once: its pods take their time to end. */
  async startToDeleteNamespace(name: string): Promise<void> {
    await this.mustKubectl(['delete', 'namespace', name, '--ignore-not-found', '--wait=false']);
  }

  /** The names of the pods that have these labels (`app=one`), of those that are not being deleted. */
  async pods(namespace: string, labels: string): Promise<readonly Pod[]> {
    const text = await this.mustKubectl(['get', 'pods', '-n', namespace, '-l', labels, '-o', 'json']);
    const { items } = JSON.parse(text) as { items: readonly PodObject[] };
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, spec, status }) => ({
        name: metadata.name,
        node: spec.nodeName,
        addresses: (status.podIPs ?? []).map(({ ip }) => ip),
      }));
  }

  /** Runs a command in a pod; any exit code resolves. `where` may name the container: `pod/container`. */
  exec(namespace: string, where: string, command: readonly string[], stdin = ''): Promise<Output> {
    const [pod, container] = where.split('/');
    const options = ['--stdin', '-n', namespace, ...(container === undefined ? [] : ['-c', container])];
    return this.kubectl(['exec', pod!, ...options, '--', ...command], stdin);
  }

  /** What a pod answers to GET, over the API server: no pod is needed to ask from. Rejects unless it is 200. */
  async ask(namespace: string, pod: string, port: number, path: string): Promise<string> {
    return this.mustKubectl([
      'get',
      '--raw',
      `/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${path}`,
    ]);
  }

  /** Runs a command on a node, as somebody with a shell there would: crictl's place is taken by `ctr -n k8s.io`. */
  onNode(node: NodeName, command: readonly string[], stdin = ''): Promise<Output> {
    return machine(node).run(command, stdin, COMMAND_LIMITS);
  }

  /** Runs a command on the nodes' network, outside of the cluster. */
  outside(command: readonly string[], stdin = ''): Promise<Output> {
    return machine(OUTSIDE.name).run(command, stdin, COMMAND_LIMITS);
  }

  /** Moves all pods away as `kubectl drain` does, and resolves when they are gone; uncordon() lets them come back. */
  async drain(node: NodeName): Promise<void> {
    await this.mustKubectl([
      'drain',
      node,
      '--ignore-daemonsets',
      '--delete-emptydir-data',
      '--force',
      '--timeout=300s',
    ]);
  }

  async uncordon(node: NodeName): Promise<void> {
    await this.mustKubectl(['uncordon', node]);
  }

  /** Ends a program at once, as a crash would; startProgram() starts it as it was. */
  async stopProgram(program: Program, node: NodeName = SERVER_NODE.name): Promise<void> {
    await daemon(program, node).stop();
  }

  /** Resolves when it runs; untilReady() waits for the API server, and for etcd behind it. */
  async startProgram(program: Program, node: NodeName = SERVER_NODE.name): Promise<void> {
    await daemon(program, node).start();
  }

  /** Freezes a program: its connections stay open and it says nothing more. */
  pauseProgram(program: Program, node: NodeName = SERVER_NODE.name): void {
    daemon(program, node).signal('SIGSTOP');
  }

  resumeProgram(program: Program, node: NodeName = SERVER_NODE.name): void {
    daemon(program, node).signal('SIGCONT');
  }

  /** Where the program's log is. */
  logOf(program: Program, node: NodeName = SERVER_NODE.name): string {
    return daemon(program, node).logPath;
  }

  /** Resolves when the API server says that it is ready. */
  async untilReady(): Promise<void> {
    await until(
      'an API server that is ready',
      () => {
        const failure = daemon('etcd').failure ?? daemon('kube-apiserver').failure;
        if (failure) throw new Error(failure);
        return this.call({ method: 'GET', path: '/readyz' }).catch(String);
      },
      (answer) => typeof answer === 'object' && answer.status === 200,
      { withinMs: 240_000, everyMs: 50 },
    );
  }

  #kubectl(args: readonly string[]): readonly string[] {
    // What it remembers of a cluster must not outlive that cluster.
    const own = [`--kubeconfig=${this.kubeconfig}`, `--cache-dir=${join(stateDirectory, 'kubectl')}`];
    return [binaryPath('kubectl'), ...own, ...args];
  }
}

/** The first four run on node-a alone. */
export type Program =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy';

export interface Pod {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly podIPs?: readonly { readonly ip: string }[] };
}

function machine(name: string): Machine {
  const found = Machine.find(name);
  if (found === undefined) throw new Error(`${name} is not running: npm run cluster brings the cluster up`);
  return found;
}

function daemon(program: Program, node: NodeName = SERVER_NODE.name): Daemon {
  const found = Daemon.find(machine(node), program);
  if (found === undefined) throw new Error(`${program} was never started on ${node}`);
  return found;
}
