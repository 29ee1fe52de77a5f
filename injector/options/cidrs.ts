import { isIP, isIPv4 } from 'node:net';
import { excerpt, listItems } from './excerpt.ts';
import { misread, read, readEach, type Reading } from './reading.ts';

const ADVICE = 'use networks such as 10.0.0.0/8 or fd00::/8, with commas between';

/** `10.0.0.0/8,fd00::/8`: networks; an address stands for itself alone. */
export function readCidrs(value: string): Reading<string[]> {
  return readEach(listItems(value), readCidr);
}

function readCidr(item: string): Reading<string> {
  const { address = '', prefix } = /^(?<address>[^/%]+)(?:\/(?<prefix>\d{1,3}))?$/u.exec(item)?.groups ?? {};
  if (isIP(address) === 0) return misread(`${excerpt(item)} is no network: ${ADVICE}`);
  const width = isIPv4(address) ? 32 : 128;
  const bits = Number(prefix ?? width);
  if (bits > width) return misread(`${item} has a prefix of more than ${width} bits: ${ADVICE}`);
  const network = networkOf(address, bits, width);
  return network === undefined
    ? read(`${address}/${bits}`)
    : misread(`${item} has bits set beyond its prefix: write ${network}/${bits}`);
}

/** The network's own address, where the given one has bits set beyond the prefix. */
function networkOf(address: string, prefix: number, width: 32 | 128): string | undefined {
  const bits = width === 32 ? bitsOfIPv4(address) : bitsOfIPv6(address);
  const host = BigInt(width - prefix);
  const network = (bits >> host) << host;
  if (network === bits) return undefined;
  return width === 32 ? formatIPv4(network) : formatIPv6(network);
}

function bitsOfIPv4(address: string): bigint {
  return address.split('.').reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
}

/** RFC 4291, 2.2: groups of four hexadecimal digits, `::` for those that are zero, the last two as IPv4 maybe. */
function bitsOfIPv6(address: string): bigint {
  const [head = '', tail] = address.split('::', 2).map((part) => part.replace(/[\d.]+\.[\d.]+$/u, asGroups));
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':');
}

function asGroups(address: string): string {
  const bits = bitsOfIPv4(address);
  return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}

function formatIPv4(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
}

/** The longest run of zeros shortened, as RFC 5952 asks and as URLs are written. */
function formatIPv6(bits: bigint): string {
  const groups = bits.toString(16).padStart(32, '0').match(/.{4}/gu) ?? [];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
