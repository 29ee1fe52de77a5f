import { isIP } from 'node:net';

/** What a machine's own resolver goes by (resolv.conf(5)), as far as the DNS proxy needs it. */
export interface ResolverConfiguration {
  /** IP addresses, in their order. */
  readonly nameServers: readonly string[];
  /** The cluster's domain, where the kubelet wrote the search list, as for every pod that asks the cluster's DNS. */
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
  return { nameServers, clusterDomain: clusterDomainOf(search) };
}

/**
 * What dnsPolicy ClusterFirst begins with: `<namespace>.svc.<domain>`, `svc.<domain>`, `<domain>`; those of the node
 * follow. Anybody may have a domain of his own that begins with `svc.`.
 */
function clusterDomainOf(search: readonly string[]): string | undefined {
  const names = search.map((name) => name.toLowerCase().replace(/\.$/u, '')).join(' ');
  const found = /^[^. ]+\.svc\.(?<domain>\S+) svc\.\k<domain> \k<domain>(?: |$)/u.exec(names);
  return found?.groups?.['domain'];
}
