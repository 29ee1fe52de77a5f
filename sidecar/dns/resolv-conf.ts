import { isIP } from 'node:net';

/** What a machine's own resolver goes by (resolv.conf(5)), as far as the DNS proxy needs it. */
export interface ResolverConfiguration {
  /** IP addresses, in their order. */
  readonly nameServers: readonly string[];
  /** The cluster's domain, where the search list has it, as in every pod. */
  readonly clusterDomain: string | undefined;
}

/** Whatever cannot be read is left out. */
export function parseResolvConf(text: string): ResolverConfiguration {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/u));
  const nameServers = lines.flatMap(([keyword, address = '']) =>
    keyword === 'nameserver' && isIP(address) !== 0 ? [address] : [],
  );
  // The last of them counts.
  const search = lines.findLast(([keyword]) => keyword === 'search')?.slice(1) ?? [];
  const services = search.map((domain) => /^svc\.(?<domain>.+?)\.?$/u.exec(domain)?.groups?.['domain']);
  return { nameServers, clusterDomain: services.find((domain) => domain !== undefined) };
}
