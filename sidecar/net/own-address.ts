import { networkInterfaces } from 'node:os';
import type { SocketAddress } from './socket-address.ts';

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Whether a connection to this address would come to somebody who listens there. */
export function isListenedAt({ address, port }: SocketAddress, listening: Iterable<SocketAddress>): boolean {
  for (const own of listening) {
    if (own.port !== port) continue;
    // Only then is it worth asking the system which addresses it has.
    if (own.address === address || (WILDCARDS.has(own.address) && isOfThisMachine(address))) return true;
  }
  return false;
}

function isOfThisMachine(address: string): boolean {
  // All of 127.0.0.0/8 is, and one address of it is listed.
  if (address.startsWith('127.')) return true;
  return Object.values(networkInterfaces()).some((infos) => infos?.some((info) => info.address === address));
}
