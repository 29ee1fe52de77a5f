/** One node: a machine with containerd, kubelet and kube-proxy. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { until } from '../until.ts';
import { type Access, writeKubeconfig } from './api-client.ts';
import { binaryPath } from './binaries.ts';
import { type Certificate } from './certificates.ts';
import { copyTemplate, importArchives } from './container-template.ts';
import { createCgroup, removeCgroup } from './cgroups.ts';
import { Daemon } from './daemon.ts';
import type { Archive } from './images.ts';
import { clusterName, NODE_DIRECTORIES, type NodeLayout, stateDirectory } from './layout.ts';
import { Machine } from './machine.ts';
import { cniConfig, containerdConfig, kubeletConfig, kubeProxyConfig } from './node-config.ts';

/** What kubelet would otherwise set for the whole of this machine, and what it wants to find. */
const KERNEL_SETTINGS = {
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
};

export interface NodeCredentials {
  readonly kubelet: Access;
  readonly kubeProxy: Access;
  /** What kubelet serves logs and exec with. */
  readonly serving: Certificate;
}

/** A machine with files of its own where the programs of a node write. */
export async function bootNode(layout: NodeLayout, init: string): Promise<Machine> {
  const machine = await Machine.boot(layout.name, init);
  const directory = nodeDirectory(layout.name);
  const script = [];
  for (const path of NODE_DIRECTORIES) {
    const own = join(directory, path);
    mkdirSync(own, { recursive: true });
    script.push(`mount --bind ${own} ${path}`);
  }
  for (const [name, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(directory, name.replaceAll('/', '.'));
    writeFileSync(file, `${value}\n`);
    script.push(`mount --bind ${file} /proc/sys/${name}`);
  }
  await machine.mustRun(['sh', '-ec', script.join('\n')]);
  await createCgroup(cgroupOf(layout.name));
  return machine;
}

/** @param template of container-template.ts: the images that the node has */
export async function startContainerd(machine: Machine, layout: NodeLayout, template: string): Promise<void> {
  const directory = nodeDirectory(layout.name);
  await copyTemplate(template, join(directory, 'var/lib/containerd'));
  mkdirSync(join(directory, 'cni'), { recursive: true });
  writeFileSync(join(directory, 'cni/10-cortexflow.conflist'), JSON.stringify(cniConfig(layout)));
  const config = join(directory, 'containerd.toml');
  writeFileSync(config, containerdConfig(join(directory, 'cni')));
  const containerd = await new Daemon(machine, 'containerd', ['containerd', '--config', config]).start();
  await until(
    `an answer of containerd on ${layout.name}`,
    () => {
      if (containerd.failure) throw new Error(containerd.failure);
      return machine.run(['ctr', 'version']);
    },
    ({ code }) => code === 0,
    { withinMs: 240_000 },
  );
}

/** Into a node that is up. */
export function importImages(machine: Machine, images: readonly Archive[]): Promise<void> {
  return importArchives(images, (args) => machine.mustRun(['ctr', ...args]));
}

export async function startKubelet(
  machine: Machine,
  layout: NodeLayout,
  { kubelet, kubeProxy, serving }: NodeCredentials,
): Promise<void> {
  const directory = nodeDirectory(layout.name);
  const kubeconfig = join(directory, 'kubelet.kubeconfig');
  writeKubeconfig({ ...kubelet, path: kubeconfig, user: layout.name });
  const proxyKubeconfig = join(directory, 'kube-proxy.kubeconfig');
  writeKubeconfig({ ...kubeProxy, path: proxyKubeconfig, user: 'kube-proxy' });
  // Names that the cluster does not know are nobody's: there is no way out.
  writeFileSync(join(directory, 'resolv.conf'), '');
  const config = kubeletConfig({
    clientAuthority: kubelet.certificateAuthority,
    serving,
    cgroup: `/${cgroupOf(layout.name)}`,
    resolvConf: join(directory, 'resolv.conf'),
  });
  const configPath = join(directory, 'kubelet.yaml');
  writeFileSync(configPath, stringify(config));
  const proxyConfigPath = join(directory, 'kube-proxy.yaml');
  writeFileSync(proxyConfigPath, stringify(kubeProxyConfig(layout, proxyKubeconfig)));
  await Promise.all([
    new Daemon(machine, 'kubelet', [
      binaryPath('kubelet'),
      `--config=${configPath}`,
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${layout.name}`,
      `--node-ip=${layout.address},${layout.address6}`,
      `--node-labels=topology.kubernetes.io/zone=${layout.zone},topology.kubernetes.io/region=test`,
    ]).start(),
    new Daemon(machine, 'kube-proxy', [binaryPath('kube-proxy'), `--config=${proxyConfigPath}`]).start(),
  ]);
}

/** Once its machine is halted: what the kernel keeps of its pods. */
export async function clearNode(name: string): Promise<void> {
  await removeCgroup(cgroupOf(name));
}

function nodeDirectory(name: string): string {
  return join(stateDirectory, name);
}

function cgroupOf(node: string): string {
  return `cortexflow-${clusterName}-${node}`;
}
