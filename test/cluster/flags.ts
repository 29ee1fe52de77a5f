/** How etcd and the API server are called, here and in the whole cluster. */
import type { Certificate, ServiceAccountKeys } from './certificates.ts';

const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
export const API_PORT = 6443;

export function etcdUrl(address: string): string {
  return `http://${address}:${CLIENT_PORT}`;
}

export function etcdCommand(address: string, dataDirectory: string): readonly string[] {
  const peer = `http://${address}:${PEER_PORT}`;
  return [
    'etcd',
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${etcdUrl(address)}`,
    `--advertise-client-urls=${etcdUrl(address)}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // Nothing here survives the machine: what a process wrote is safe when only the process dies.
    '--unsafe-no-fsync',
    '--logger=zap',
    '--log-level=warn',
  ];
}

export interface ApiServerFlags {
  readonly binary: string;
  readonly directory: string;
  readonly address: string;
  readonly etcdAddress: string;
  readonly certificate: Certificate;
  readonly serviceAccountKeys: ServiceAccountKeys;
  /** CSV of token, user, uid, groups. */
  readonly tokens: string;
  readonly serviceCidr: string;
}

export function apiServerCommand(flags: ApiServerFlags): readonly string[] {
  return [
    flags.binary,
    `--etcd-servers=${etcdUrl(flags.etcdAddress)}`,
    `--bind-address=${flags.address}`,
    `--secure-port=${API_PORT}`,
    `--cert-dir=${flags.directory}`,
    `--tls-cert-file=${flags.certificate.certificate}`,
    `--tls-private-key-file=${flags.certificate.key}`,
    `--token-auth-file=${flags.tokens}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${flags.serviceAccountKeys.publicKey}`,
    `--service-account-signing-key-file=${flags.serviceAccountKeys.privateKey}`,
    `--service-cluster-ip-range=${flags.serviceCidr}`,
    '--allow-privileged=true',
    '--profiling=false',
  ];
}
