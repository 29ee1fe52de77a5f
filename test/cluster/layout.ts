/** Who is where in the cluster: its name, its files, its nodes and their addresses. */
import { join } from 'node:path';
import { cacheDirectory } from './binaries.ts';

/** Several can be up at once, each under a name of its own: they share images and nothing else. */
export const clusterName = process.env['CORTEXFLOW_TEST_CLUSTER'] ?? 'default';
if (!/^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/.test(clusterName)) {
  throw new Error(
    `CORTEXFLOW_TEST_CLUSTER is "${clusterName}": use up to 20 lower-case letters, digits and dashes`,
  );
}

/** Everything that a running cluster writes; gone once it is down. */
export const stateDirectory = join(cacheDirectory, 'clusters', clusterName);
export const logDirectory = join(stateDirectory, 'logs');
export const kubeconfigPath = join(stateDirectory, 'kubeconfig');

/** These are each node's own, so nothing that nodes share can be inside them. */
export const NODE_DIRECTORIES = ['/var/lib', '/var/log', '/run'] as const;
const hidden = NODE_DIRECTORIES.find((directory) => stateDirectory.startsWith(`${directory}/`));
if (hidden) {
  throw new Error(
    `The test cluster's files would be in ${stateDirectory}: set XDG_CACHE_HOME outside of ${hidden}`,
  );
}

export interface NodeLayout {
  readonly name: 'node-a' | 'node-b';
  readonly zone: string;
  readonly address: string;
  readonly address6: string;
  readonly podCidr: string;
  readonly podCidr6: string;
}

export const NODES: readonly [NodeLayout, NodeLayout] = [
  {
    name: 'node-a',
    zone: 'a',
    address: '172.20.0.11',
    address6: 'fd00:20::11',
    podCidr: '10.244.1.0/24',
    podCidr6: 'fd00:244:1::/64',
  },
  {
    name: 'node-b',
    zone: 'b',
    address: '172.20.0.12',
    address6: 'fd00:20::12',
    podCidr: '10.244.2.0/24',
    podCidr6: 'fd00:244:2::/64',
  },
];
export type NodeName = NodeLayout['name'];

/** etcd, the API server, the controllers and the scheduler run here: webhooks are called through kube-proxy. */
export const SERVER_NODE = NODES[0];

/** The nodes' gateway. It leads nowhere, and is what a peer outside of the cluster can run on. */
export const OUTSIDE = {
  name: 'outside',
  address: '172.20.0.1',
  address6: 'fd00:20::1',
  /** What pods reach as "somewhere on the internet" (TEST-NET-2 and its like in IPv6). */
  world: '198.51.100.1',
  world6: '2001:db8::1',
} as const;

export const POD_CIDRS = '10.244.0.0/16,fd00:244::/32';
export const SERVICE_CIDRS = '10.96.0.0/16,fd00:96::/112';
/** The Service `kubernetes`. */
export const API_SERVICE_ADDRESS = '10.96.0.1';
export const DNS_ADDRESS = '10.96.0.10';
export const CLUSTER_DOMAIN = 'cluster.local';
