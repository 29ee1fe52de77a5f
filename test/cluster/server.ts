/** etcd, the API server, the controllers and the scheduler, all on one node. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Access, writeKubeconfig } from './api-client.ts';
import { binaryPath } from './binaries.ts';
import {
  Authority,
  type Certificate,
  type ServiceAccountKeys,
  writeServiceAccountKeys,
} from './certificates.ts';
import { Daemon } from './daemon.ts';
import { API_PORT, apiServerCommand, etcdCommand } from './flags.ts';
import {
  API_SERVICE_ADDRESS,
  CLUSTER_DOMAIN,
  NODES,
  type NodeName,
  POD_CIDRS,
  SERVER_NODE,
  SERVICE_CIDRS,
  stateDirectory,
} from './layout.ts';
import type { Machine } from './machine.ts';
import type { NodeCredentials } from './node.ts';

const directory = join(stateDirectory, 'server');

/** User names and groups are those that Kubernetes' own roles are bound to. */
const USERS = {
  admin: { user: 'admin', group: 'system:masters' },
  controllers: { user: 'system:kube-controller-manager', group: '' },
  scheduler: { user: 'system:kube-scheduler', group: '' },
  kubeProxy: { user: 'system:kube-proxy', group: '' },
  'node-a': { user: 'system:node:node-a', group: 'system:nodes' },
  'node-b': { user: 'system:node:node-b', group: 'system:nodes' },
} as const;
type User = keyof typeof USERS;

/** What the parts of a cluster prove to each other who they are with; new for every cluster. */
export interface Credentials {
  readonly access: Readonly<Record<User, Access>>;
  readonly nodes: Readonly<Record<NodeName, NodeCredentials>>;
  readonly tokens: string;
  readonly server: Certificate;
  readonly kubeletClient: Certificate;
  readonly serviceAccountKeys: ServiceAccountKeys;
}

export async function createCredentials(): Promise<Credentials> {
  const authority = await Authority.create(directory);
  const users = Object.entries(USERS).map(([key, { user, group }]) => {
    const token = randomBytes(16).toString('hex');
    const access = {
      url: `https://${SERVER_NODE.address}:${API_PORT}`,
      certificateAuthority: authority.certificatePath,
      token,
    };
    return { key, access, line: `${token},${user},${key},"${group}"\n` };
  });
  const tokens = join(directory, 'tokens.csv');
  writeFileSync(tokens, users.map(({ line }) => line).join(''), { mode: 0o600 });
  const access = Object.fromEntries(users.map((user) => [user.key, user.access])) as Credentials['access'];
  const nodes = await Promise.all(
    NODES.map(async ({ name, address, address6 }) => {
      const serving = await authority.issue(name, {
        commonName: `system:node:${name}`,
        organizations: ['system:nodes'],
        dnsNames: [name],
        ipAddresses: [address, address6],
      });
      return [name, { kubelet: access[name], kubeProxy: access.kubeProxy, serving }] as const;
    }),
  );
  return {
    access,
    nodes: Object.fromEntries(nodes) as Credentials['nodes'],
    tokens,
    server: await authority.issue('server', {
      commonName: 'kube-apiserver',
      dnsNames: ['', '.svc', `.svc.${CLUSTER_DOMAIN}`]
        .map((suffix) => `kubernetes.default${suffix}`)
        .concat('kubernetes'),
      ipAddresses: [SERVER_NODE.address, SERVER_NODE.address6, API_SERVICE_ADDRESS, '127.0.0.1'],
    }),
    kubeletClient: await authority.issue('kubelet-client', {
      commonName: 'kube-apiserver',
      organizations: ['system:masters'],
    }),
    serviceAccountKeys: writeServiceAccountKeys(directory),
  };
}

export async function startEtcdAndApiServer(machine: Machine, credentials: Credentials): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const { address } = SERVER_NODE;
  await new Daemon(machine, 'etcd', etcdCommand(address, join(directory, 'etcd'))).start();
  const command = apiServerCommand({
    binary: binaryPath('kube-apiserver'),
    directory,
    address,
    etcdAddress: address,
    certificate: credentials.server,
    serviceAccountKeys: credentials.serviceAccountKeys,
    tokens: credentials.tokens,
    serviceCidr: SERVICE_CIDRS,
  });
  const whole = [
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--kubelet-client-certificate=${credentials.kubeletClient.certificate}`,
    `--kubelet-client-key=${credentials.kubeletClient.key}`,
    `--kubelet-certificate-authority=${credentials.access.admin.certificateAuthority}`,
    '--kubelet-preferred-address-types=InternalIP',
  ];
  await new Daemon(machine, 'kube-apiserver', [...command, ...whole]).start();
}

export async function startControllers(machine: Machine, credentials: Credentials): Promise<void> {
  const { controllers, scheduler } = credentials.access;
  const controllersConfig = join(directory, 'controllers.kubeconfig');
  writeKubeconfig({ ...controllers, path: controllersConfig, user: 'kube-controller-manager' });
  const schedulerConfig = join(directory, 'scheduler.kubeconfig');
  writeKubeconfig({ ...scheduler, path: schedulerConfig, user: 'kube-scheduler' });
  const alone = [
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    '--profiling=false',
    `--cert-dir=${directory}`,
  ];
  await Promise.all([
    new Daemon(machine, 'kube-controller-manager', [
      binaryPath('kube-controller-manager'),
      ...alone,
      `--kubeconfig=${controllersConfig}`,
      `--authentication-kubeconfig=${controllersConfig}`,
      `--authorization-kubeconfig=${controllersConfig}`,
      '--use-service-account-credentials=true',
      `--service-account-private-key-file=${credentials.serviceAccountKeys.privateKey}`,
      `--root-ca-file=${controllers.certificateAuthority}`,
      '--allocate-node-cidrs=false',
      `--cluster-cidr=${POD_CIDRS}`,
      `--service-cluster-ip-range=${SERVICE_CIDRS}`,
      '--node-monitor-period=2s',
      '--node-monitor-grace-period=20s',
    ]).start(),
    new Daemon(machine, 'kube-scheduler', [
      binaryPath('kube-scheduler'),
      ...alone,
      `--kubeconfig=${schedulerConfig}`,
      `--authentication-kubeconfig=${schedulerConfig}`,
      `--authorization-kubeconfig=${schedulerConfig}`,
    ]).start(),
  ]);
}
