import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryPath } from '../../test/cluster/binaries.ts';
import { SIDECAR_FLAGS } from '../sidecar-command.ts';

/** Where a peer listens, where it asks what it does not know, and what all of them know by themselves. */
export interface Setting {
  readonly port: number;
  readonly upstream: number;
  /** A hosts file with the names of the mesh. */
  readonly hosts: string;
  /** Of the sidecar: where its control plane is. */
  readonly controlPlane: string;
  readonly directory: string;
}

/** A DNS server to compare: how to start it with one thread, or what is missing. */
export interface Peer {
  readonly name: string;
  readonly missing: string | undefined;
  readonly command: (setting: Setting) => readonly string[];
  readonly environment: (setting: Setting) => Readonly<Record<string, string>>;
}

export const SERVICES = 1_000;

export function serviceName(index: number): string {
  return `web-${index}.demo.svc.cluster.local`;
}

export function clusterIp(index: number): string {
  return `10.96.${index >> 8}.${index & 255}`;
}

const DNSMASQ = '/usr/sbin/dnsmasq';

export function peers(): readonly Peer[] {
  const coreDns = binaryPath('coredns');
  return [
    {
      name: 'cortexflow',
      missing: undefined,
      command: () => [process.execPath, ...SIDECAR_FLAGS, 'sidecar/main.ts'],
      environment: ({ port, upstream, controlPlane }) => ({
        CORTEXFLOW_CONTROL_PLANE: controlPlane,
        CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
        CORTEXFLOW_DNS_LISTEN: `127.0.0.1:${port}`,
        CORTEXFLOW_DNS_UPSTREAMS: `127.0.0.1:${upstream}`,
        CORTEXFLOW_DNS_CLUSTER_DOMAIN: 'cluster.local',
      }),
    },
    {
      name: 'coredns',
      missing: existsSync(coreDns) ? undefined : 'npm run cluster builds it',
      command: (setting) => [coreDns, '-conf', coreFile(setting)],
      environment: () => ({ GOMAXPROCS: '1' }),
    },
    {
      name: 'dnsmasq',
      missing: existsSync(DNSMASQ) ? undefined : 'apt-get install dnsmasq-base',
      command: ({ port, upstream, hosts }) => [
        DNSMASQ,
        '--keep-in-foreground',
        '--conf-file=/dev/null',
        '--no-resolv',
        '--no-hosts',
        '--user=root',
        `--port=${port}`,
        '--listen-address=127.0.0.1',
        '--bind-interfaces',
        '--pid-file=',
        `--addn-hosts=${hosts}`,
        '--local=/cluster.local/',
        `--server=127.0.0.1#${upstream}`,
        '--cache-size=10000',
        '--dns-forward-max=10000',
      ],
      environment: () => ({}),
    },
  ];
}

function coreFile({ port, upstream, hosts, directory }: Setting): string {
  const path = join(directory, 'Corefile');
  writeFileSync(
    path,
    `.:${port} {
  bind 127.0.0.1
  cache 30
  hosts ${hosts} cluster.local
  forward . 127.0.0.1:${upstream}
}
`,
  );
  return path;
}

/** Whoever is asked what nobody knows: any name has the same address, for a minute. */
export function upstreamCommand(port: number, directory: string): readonly string[] {
  const path = join(directory, 'Upstream');
  writeFileSync(
    path,
    `.:${port} {
  bind 127.0.0.1
  template IN A {
    answer "{{ .Name }} 60 IN A 192.0.2.1"
  }
}
`,
  );
  return [binaryPath('coredns'), '-conf', path];
}
