import type { Certificate } from './certificates.ts';
import { PAUSE_IMAGE } from './images.ts';
import { CLUSTER_DOMAIN, DNS_ADDRESS, type NodeLayout, POD_CIDRS } from './layout.ts';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
const CNI_PLUGINS = '/usr/lib/cni';

/** @param cniDirectory where the network's configuration is */
export function containerdConfig(cniDirectory: string): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
address = "${CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE nobody may become less likely to be killed, and every pod wants to.
restrict_oom_score_adj = true
enable_unprivileged_ports = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${CNI_PLUGINS}"
conf_dir = "${cniDirectory}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`;
}

/**
 * Every pod at the end of a link of its own, routed by the node, as kind and many clouds do it: a pod that
 * calls itself through its Service needs no bridge that reflects frames, and nothing depends on br_netfilter.
 */
export function cniConfig({ podCidr, podCidr6 }: NodeLayout): unknown {
  return {
    cniVersion: '0.4.0',
    name: 'cortexflow',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        mtu: 1500,
        ipam: {
          type: 'host-local',
          dataDir: '/run/cni',
          ranges: [[{ subnet: podCidr }], [{ subnet: podCidr6 }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

export interface KubeletOptions {
  /** Path of the authority whose client certificates may do everything. */
  readonly clientAuthority: string;
  readonly serving: Certificate;
  readonly cgroup: string;
  readonly resolvConf: string;
}

export function kubeletConfig({ clientAuthority, serving, cgroup, resolvConf }: KubeletOptions): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: clientAuthority },
    },
    authorization: { mode: 'AlwaysAllow' },
    tlsCertFile: serving.certificate,
    tlsPrivateKeyFile: serving.key,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: CLUSTER_DOMAIN,
    resolvConf,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    serializeImagePulls: false,
    // This machine's disk is not the cluster's business.
    evictionHard: {
      'imagefs.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'memory.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: '2s',
    nodeLeaseDurationSeconds: 20,
  };
}

export function kubeProxyConfig({ name }: NodeLayout, kubeconfig: string): unknown {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig },
    hostnameOverride: name,
    mode: 'nftables',
    clusterCIDR: POD_CIDRS,
    detectLocalMode: 'ClusterCIDR',
    oomScoreAdj: 0,
    // Limits of the kernel, for all of this machine: they cannot be set from a network namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
