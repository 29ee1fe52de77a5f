import { isIPv4, isIPv6 } from 'node:net';
import * as v from 'valibot';
import { PORTS, PROXY_UID } from '../../wire/pod.ts';
import { list, received, section, text, whole } from './fields.ts';

/** From `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A block of IP addresses, as the kernel writes it: no bits set behind the prefix. */
export interface Cidr {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefix: number;
}

const RANGE = /^\s*(?<first>\d{1,5})\s*(?:-\s*(?<last>\d{1,5})\s*)?$/u;
const CIDR = /^\s*(?<address>[0-9a-fA-F.:]+)(?:\/(?<prefix>\d{1,3}))?\s*$/u;

/** `22`, `8000-8010`; undefined when it is neither. */
export function parsePortRange(input: string | number): PortRange | undefined {
  const groups = RANGE.exec(String(input))?.groups;
  const first = Number(groups?.['first']);
  const last = Number(groups?.['last'] ?? first);
  return first >= 1 && last >= first && last <= 65_535 ? { first, last } : undefined;
}

/** `10.0.0.0/8`, `fd00::/8`, one address; undefined when it is none of these. */
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

const portRange = v.pipe(
  v.union(
    [v.string(), v.number()],
    ({ input }) => `must be a port or a range of ports, and is ${received(input)}`,
  ),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const range = parsePortRange(dataset.value);
    if (range !== undefined) return range;
    addIssue({
      message: `must be a port from 1 to 65535 or a range of them, such as "22" or "8000-8010", and is ${received(dataset.value)}`,
    });
    return NEVER;
  }),
);

const cidr = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const block = parseCidr(dataset.value);
    if (block !== undefined) return block;
    addIssue({
      message: `must be an address block, such as 10.0.0.0/8 or fd00::/8, and is ${received(dataset.value)}`,
    });
    return NEVER;
  }),
);

const exclude = v.optional(
  section({ ports: v.optional(list(portRange), []), cidrs: v.optional(list(cidr), []) }),
  {},
);

function side(port: number) {
  return v.optional(section({ port: v.optional(whole(1, 65_535, 'port number'), port), exclude }), {});
}

/** The part of the bootstrap that the init container and the sidecar both act upon. */
export const InterceptionSchema = v.pipe(
  section({
    /** Whose connections are left alone: the user id that the sidecar runs as. */
    proxyUid: v.optional(whole(1, 4_294_967_294, 'user id'), PROXY_UID),
    /** Connections that the workload makes; `cidrs` are where they go to. */
    outbound: side(PORTS.outbound),
    /** Connections that are made to the workload; `cidrs` are where they come from. */
    inbound: side(PORTS.inbound),
  }),
  v.check(
    ({ outbound, inbound }) => outbound.port !== inbound.port,
    'has one port for outbound and inbound: give each its own',
  ),
);

export type Interception = v.InferOutput<typeof InterceptionSchema>;
