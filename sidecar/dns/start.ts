import { readFile } from 'node:fs/promises';
import { hostPort } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import { type SocketAddress, socketAddressOf } from '../net/socket-address.ts';
import type { Directory } from '../services/directory.ts';
import { exposeDns } from './metrics.ts';
import { isOwnServer } from './own-server.ts';
import { DnsProxy } from './proxy.ts';
import { parseResolvConf, type ResolverConfiguration } from './resolv-conf.ts';

export interface DnsSettings {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** Undefined: those of the machine's own resolver. */
  readonly upstreams?: readonly { readonly host: string; readonly port: number }[] | undefined;
  /** Undefined: that of the machine's search list, or else cluster.local. */
  readonly clusterDomain?: string | undefined;
  readonly cacheBytes: number;
}

const RESOLV_CONF = '/etc/resolv.conf';
const DNS_PORT = 53;
const USUAL_DOMAIN = 'cluster.local';

interface Surroundings {
  readonly directory: Directory;
  readonly registry: Parameters<typeof exposeDns>[0];
  readonly log: Logger;
}

/** The DNS proxy of a sidecar. */
export interface OpenedDns {
  /** Returns what listens where. Rejects with a StartupError where it cannot. */
  listen(): Promise<readonly string[]>;
  view(): ReturnType<DnsProxy['view']>;
  close(): void;
}

/**
 * With these settings and, where they leave something out, with what this machine's resolver has. Undefined where
 * there are none.
 */
export async function openDns(
  settings: DnsSettings | undefined,
  { directory, registry, log }: Surroundings,
): Promise<OpenedDns | undefined> {
  if (settings === undefined) return undefined;
  const machine = await readResolvConf(log);
  const servers = serversOf(settings, machine);
  const clusterDomain = settings.clusterDomain ?? machine.clusterDomain ?? USUAL_DOMAIN;
  if (servers.length === 0) {
    log.warn(
      'Only names of the mesh are answered: no DNS server but this proxy itself is known. Name some in dns.upstreams',
      { file: RESOLV_CONF, named: machine.nameServers },
    );
  }
  const proxy = new DnsProxy({ directory, servers, clusterDomain, cacheBytes: settings.cacheBytes, log });
  exposeDns(registry, proxy);
  return {
    listen: () => listenAll(proxy, settings.listen),
    view: () => proxy.view(),
    close: () => proxy.close(),
  };
}

async function listenAll(proxy: DnsProxy, listen: DnsSettings['listen']): Promise<readonly string[]> {
  const bound: string[] = [];
  for (const address of listen) {
    const at = await proxy.listen(socketAddressOf(address));
    if (at !== undefined) bound.push(hostPort(at.address, at.port));
  }
  return bound;
}

async function readResolvConf(log: Logger): Promise<ResolverConfiguration> {
  const text = await readFile(RESOLV_CONF, 'utf8').catch((error: unknown) => {
    log.warn('The DNS servers of this machine cannot be read', { file: RESOLV_CONF, error });
    return '';
  });
  return parseResolvConf(text);
}

/** Never itself, where it is left to the machine: a host may have the proxy as its resolver. */
export function serversOf(
  { upstreams, listen }: Pick<DnsSettings, 'upstreams' | 'listen'>,
  { nameServers }: Pick<ResolverConfiguration, 'nameServers'>,
): readonly SocketAddress[] {
  if (upstreams !== undefined) return upstreams.map(socketAddressOf);
  const listening = listen.map(socketAddressOf);
  return nameServers
    .map((address) => ({ address, port: DNS_PORT }))
    .filter((server) => !isOwnServer(server, listening));
}
