/** Some pods on a network, and a control plane on files that knows of Services with virtual addresses. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Program } from '../system/programs.ts';
import { Network } from './network.ts';
import { type Bootstrap, bootstrap, Pod } from './pod.ts';

const XDS_PORT = 18_000;

export interface ServiceSpec {
  /** In namespace `demo`. */
  readonly name: string;
  /** Virtual addresses; `None` for a headless Service. */
  readonly clusterIps: readonly string[];
  readonly port: number;
  readonly targetPort: number;
  readonly pods: readonly Pod[];
  /** Whether the control plane is told of the pods that they have a sidecar. */
  readonly inMesh?: boolean;
}

export class Mesh {
  readonly network: Network;
  readonly #folder = mkdtempSync(join(tmpdir(), 'cortexflow-interception-'));
  readonly #pods: Pod[] = [];
  #controlPlane: Program | undefined;

  private constructor(network: Network) {
    this.network = network;
  }

  static async create(label: string): Promise<Mesh> {
    return new Mesh(await Network.create(label));
  }

  /** Where the pods find the control plane. */
  get controlPlane(): string {
    return `${this.network.world.ipv4}:${XDS_PORT}`;
  }

  bootstrap(fields: Bootstrap = {}): Bootstrap {
    return bootstrap(this.controlPlane, fields);
  }

  async pod(name: string): Promise<Pod> {
    const pod = await Pod.start(await this.network.pod(name));
    this.#pods.push(pod);
    return pod;
  }

  /** An application beside the pods, at addresses that no Service and no pod has. */
  async host(): Promise<Pod> {
    const pod = await Pod.start(this.network.world);
    this.#pods.push(pod);
    return pod;
  }

  async startControlPlane(): Promise<Program> {
    this.#controlPlane = new Program({
      file: 'control-plane/main.ts',
      through: this.network.world.entering,
      environment: {
        CORTEXFLOW_DIRECTORY: this.#folder,
        CORTEXFLOW_XDS_ADDRESS: `0.0.0.0:${XDS_PORT}`,
        CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
        CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
        CORTEXFLOW_DRAIN_MS: '100',
      },
    });
    await this.#controlPlane.serving();
    return this.#controlPlane;
  }

  async stopControlPlane(): Promise<void> {
    await this.#controlPlane?.end('SIGKILL');
  }

  /** The world sends connections to this virtual address to one after another of these, as kube-proxy on a node does. */
  async kubeProxy(
    address: string,
    port: number,
    to: readonly { readonly pod: Pod; readonly port: number }[],
  ): Promise<void> {
    const { world } = this.network;
    const nft = (...words: readonly string[]) => world.must('nft', words.join(' '));
    await nft('add table ip kube-proxy');
    await nft('add chain ip kube-proxy services { type nat hook prerouting priority -100; }');
    await nft('add chain ip kube-proxy replies { type nat hook postrouting priority 100; }');
    const targets = to.map((each, index) => `${index} : ${each.pod.ipv4} . ${each.port}`);
    const inTurn = `numgen inc mod ${to.length} map { ${targets.join(', ')} }`;
    await nft(`add rule ip kube-proxy services ip daddr ${address} tcp dport ${port} dnat to ${inTurn}`);
    // Pods are on one bridge here: the answer has to come back this way.
    await nft('add rule ip kube-proxy replies ct status dnat masquerade');
  }

  write(...services: readonly ServiceSpec[]): void {
    for (const service of services) {
      const documents = [serviceObject(service), ...sliceObjects(service), ...podObjects(service)];
      const text = documents.map((document) => stringify(document)).join('---\n');
      writeFileSync(join(this.#folder, `${service.name}.yaml`), text);
    }
  }

  async remove(): Promise<void> {
    for (const pod of this.#pods) await pod.stop();
    await this.#controlPlane?.end('SIGKILL');
    await this.network.remove();
    rmSync(this.#folder, { recursive: true });
  }
}

function serviceObject({ name, clusterIps, port, targetPort }: ServiceSpec): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: {
      clusterIP: clusterIps[0],
      clusterIPs: clusterIps,
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'PreferDualStack',
      ports: [{ name: 'main', port, targetPort, protocol: 'TCP' }],
    },
  };
}

function podObjects({ name, pods, inMesh = false }: ServiceSpec): unknown[] {
  if (!inMesh) return [];
  return pods.map(({ ipv4, ipv6 }, index) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-${index}`, namespace: 'demo', labels: { 'cortexflow.io/injected': 'true' } },
    spec: {},
    status: { podIPs: [{ ip: ipv4 }, { ip: ipv6 }] },
  }));
}

function sliceObjects({ name, targetPort, pods }: ServiceSpec): unknown[] {
  return (['IPv4', 'IPv6'] as const).map((addressType) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${addressType.toLowerCase()}`,
      namespace: 'demo',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType,
    ports: [{ name: 'main', port: targetPort, protocol: 'TCP' }],
    endpoints: pods.map(({ ipv4, ipv6 }, index) => ({
      addresses: [addressType === 'IPv4' ? ipv4 : ipv6],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', name: `${name}-${index}`, namespace: 'demo' },
    })),
  }));
}
