import { isIPv4 } from 'node:net';

/** From the first to the last, both included: of ports, or of addresses as numbers. */
export type Interval = readonly [first: bigint, last: bigint];

/** What a set holds, whatever the pieces it was written in. */
export function merged(intervals: readonly Interval[]): readonly Interval[] {
  const result: [bigint, bigint][] = [];
  for (const [first, last] of intervals.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const before = result.at(-1);
    if (before === undefined || first > before[1] + 1n) result.push([first, last]);
    else if (last > before[1]) before[1] = last;
  }
  return result;
}

/** A port, an address, or two of them with a `-` between, or an address block, as nft writes them. */
export function parseInterval(text: string): Interval {
  const [address = '', prefix] = text.split('/');
  if (prefix !== undefined) return block(address, Number(prefix));
  const [first = '', last = first] = text.split('-');
  return [numberOf(first), numberOf(last)];
}

function block(address: string, prefix: number): Interval {
  const first = numberOf(address);
  const free = BigInt((isIPv4(address) ? 32 : 128) - prefix);
  return [first, first + (1n << free) - 1n];
}

function numberOf(text: string): bigint {
  if (isIPv4(text)) return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  if (!text.includes(':')) return BigInt(text);
  // The URL parser writes an IPv4 tail as two more groups (WHATWG URL).
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeroes = Array.from({ length: 8 - before.length - after.length }, () => 0n);
  return [...before, ...zeroes, ...after].reduce((sum, group) => sum * 65_536n + group, 0n);
}

function groupsOf(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}
