/** Addresses of sockets as the kernel keeps them: `sockaddr_in` and `sockaddr_in6` of Linux (ip(7), ipv6(7)). */
import { networkInterfaces } from 'node:os';
import type { SocketAddress } from './socket-address.ts';

/** The longer of the two, `sockaddr_in6`. */
export const SOCKADDR_BYTES = 28;
const SOCKADDR_IN_BYTES = 16;

const AF_INET = 2;
const AF_INET6 = 10;
const PORT_AT = 2;
const IPV4_AT = 4;
const IPV6_AT = 8;
const SCOPE_AT = 24;

const IPV6_GROUPS = 8;
const IPV6_BYTES = 16;

/** How many bytes of it count. */
export function sockaddrLength(bytes: Uint8Array, at: number): number {
  return bytes[at] === AF_INET ? SOCKADDR_IN_BYTES : SOCKADDR_BYTES;
}

export function readSockaddr(bytes: Uint8Array, at: number): SocketAddress {
  const port = ((bytes[at + PORT_AT] ?? 0) << 8) | (bytes[at + PORT_AT + 1] ?? 0);
  const address = bytes[at] === AF_INET ? formatIPv4(bytes, at + IPV4_AT) : formatIPv6(bytes, at + IPV6_AT);
  return { address, port };
}

/** Writes an IP address, with a zone (`fe80::1%eth0`) where it has one, and a port. All 28 bytes are written. */
export function writeSockaddr(bytes: Uint8Array, at: number, { address, port }: SocketAddress): void {
  bytes.fill(0, at, at + SOCKADDR_BYTES);
  bytes[at + PORT_AT] = port >> 8;
  bytes[at + PORT_AT + 1] = port & 0xff;
  const isIPv6 = address.includes(':');
  bytes[at] = isIPv6 ? AF_INET6 : AF_INET;
  if (isIPv6) writeIPv6(bytes, at, address);
  else writeIPv4(bytes, at + IPV4_AT, address);
}

function writeIPv4(bytes: Uint8Array, at: number, address: string): void {
  address.split('.').forEach((part, index) => {
    bytes[at + index] = Number(part);
  });
}

function writeIPv6(bytes: Uint8Array, at: number, text: string): void {
  const [address = '', zone] = text.split('%');
  const lastColon = address.lastIndexOf(':');
  const hasIPv4 = address.includes('.');
  // The last two groups may be written as an IPv4 address; they are put in afterwards.
  const hex = hasIPv4 ? `${address.slice(0, lastColon)}:0:0` : address;
  const [head = '', tail] = hex.split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const groups = [...before, ...Array(IPV6_GROUPS - before.length - after.length).fill('0'), ...after];
  groups.forEach((group, index) => {
    const value = Number.parseInt(group, 16);
    bytes[at + IPV6_AT + 2 * index] = value >> 8;
    bytes[at + IPV6_AT + 2 * index + 1] = value & 0xff;
  });
  if (hasIPv4) writeIPv4(bytes, at + IPV6_AT + IPV6_BYTES - 4, address.slice(lastColon + 1));
  if (zone !== undefined) writeScope(bytes, at + SCOPE_AT, indexOfInterface(zone));
}

/** `sin6_scope_id`, 32 bits in the machine's own order: least byte first, wherever the kernel is given these. */
function writeScope(bytes: Uint8Array, at: number, index: number): void {
  for (let byte = 0; byte < 4; byte++) bytes[at + byte] = index >>> (8 * byte);
}

function groupsOf(text: string): readonly string[] {
  return text === '' ? [] : text.split(':');
}

/** The number of a network interface, by its name; a number as it is. 0, which means any, where there is none. */
function indexOfInterface(name: string): number {
  if (/^\d+$/u.test(name)) return Number(name);
  const infos = networkInterfaces()[name] ?? [];
  return infos.find((info) => info.family === 'IPv6' && info.scopeid !== 0)?.scopeid ?? 0;
}

export function formatIPv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** As `inet_ntop` writes it: the first longest run of zeroes left out, an IPv4-mapped address with its dots. */
export function formatIPv6(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let index = 0; index < IPV6_GROUPS; index++) {
    groups.push(((bytes[at + 2 * index] ?? 0) << 8) | (bytes[at + 2 * index + 1] ?? 0));
  }
  const hex = groups.map((group) => group.toString(16));
  const { start, length } = longestZeroes(groups);
  if (length < 2) return hex.join(':');
  const endsInIPv4 = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  if (endsInIPv4) hex.splice(6, 2, formatIPv4(bytes, at + 12));
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroes(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  return longest;
}
