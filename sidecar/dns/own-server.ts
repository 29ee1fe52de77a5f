import { isIP, isIPv6, SocketAddress as Canonical } from 'node:net';
import { isListenedAt } from '../net/own-address.ts';
import type { SocketAddress } from '../net/socket-address.ts';

/** What is sent to nobody's address arrives on loopback, and resolv.conf(5) may name it so. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * Whether what is asked of this server would come back to the DNS proxy that listens there. A wildcard takes in the
 * machine's addresses of its own family only, as the proxy binds it.
 */
export function isOwnServer({ address, port }: SocketAddress, listening: readonly SocketAddress[]): boolean {
  const asked = canonical(address);
  const own = listening
    .filter((listens) => isIP(listens.address) === isIP(asked))
    .map((listens) => ({ address: canonical(listens.address), port: listens.port }));
  return isListenedAt({ address: LOOPBACK[asked] ?? asked, port }, own);
}

/** As the system writes it. One with a zone is left as it is. */
function canonical(address: string): string {
  if (!isIPv6(address) || address.includes('%')) return address;
  return new Canonical({ address, family: 'ipv6' }).address;
}
