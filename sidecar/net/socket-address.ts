import { isIPv6 } from 'node:net';
import type { Address } from '../../process/environment.ts';

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** Of what a setting names. */
export function socketAddressOf({ host, port }: Address): SocketAddress {
  return { address: host, port };
}

/** Where to listen. */
export interface ListenAddress extends SocketAddress {
  /** `::` without IPv4: for whoever listens on `0.0.0.0` as well, so that no address is ever IPv4-mapped. */
  readonly ipv6Only?: boolean;
}

/** From where to connect: another port of a local address each time. */
export interface LocalPorts {
  next(): SocketAddress;
}

/** `address:port`, IPv6 in brackets. */
export function formatAddress({ address, port }: SocketAddress): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

const IPV4_MAPPED = /^::ffff:(?=\d+\.)/iu;

/** An IPv4 address that a socket of IPv6 writes as `::ffff:192.0.2.7`, as sockets of IPv4 write it. */
export function unmapped(address: string): string {
  return address.replace(IPV4_MAPPED, '');
}
