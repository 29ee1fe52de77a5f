import { isIPv4, isIPv6 } from 'node:net';

/** A block of IP addresses, as the kernel writes it: no bits set behind the prefix. */
export interface Cidr {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefix: number;
}

const CIDR = /^\s*(?<address>[0-9a-fA-F.:]+)(?:\/(?<prefix>\d{1,3}))?\s*$/u;

/** `10.0.0.0/8`, `fd00::/8`, one address; undefined when it is none of these. Bits behind the prefix are cleared. */
export function parseCidr(input: string): Cidr | undefined {
  const { address = '', prefix } = CIDR.exec(input)?.groups ?? {};
  if (isIPv4(address)) return blockOf('ipv4', address, Number(prefix ?? 32));
  return isIPv6(address) ? blockOf('ipv6', address, Number(prefix ?? 128)) : undefined;
}

function blockOf(family: Cidr['family'], address: string, prefix: number): Cidr | undefined {
  const isShort = family === 'ipv4';
  if (prefix > (isShort ? 32 : 128)) return undefined;
  return { family, address: isShort ? networkOf4(address, prefix) : networkOf6(address, prefix), prefix };
}

function networkOf4(address: string, prefix: number): string {
  return address
    .split('.')
    .map((part, index) => Number(part) & maskOf(prefix - index * 8, 8))
    .join('.');
}

function networkOf6(address: string, prefix: number): string {
  // The URL parser writes an address in one way (RFC 5952), an IPv4 tail included.
  const written = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = written.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeroes = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const groups = [...before, ...zeroes, ...after].map((group, index) =>
    (Number.parseInt(group, 16) & maskOf(prefix - index * 16, 16)).toString(16),
  );
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** The first `count` of `width` bits. */
function maskOf(count: number, width: number): number {
  const kept = Math.min(width, Math.max(0, count));
  return (2 ** width - 1) ^ (2 ** (width - kept) - 1);
}

/** Whether this text of a block has bits set behind the prefix: then its writer may have meant something else. */
export function hasHostBits(input: string, { address }: Cidr): boolean {
  const [alone = ''] = input.split('/');
  return parseCidr(alone)?.address !== address;
}
