import * as v from 'valibot';
import { type Cidr, hasHostBits, parseCidr } from '../../wire/cidr.ts';
import { PORTS, PROXY_UID } from '../../wire/pod.ts';
import { list, received, section, text, whole } from './fields.ts';

/** From `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const RANGE = /^\s*(?<first>\d{1,5})\s*(?:-\s*(?<last>\d{1,5})\s*)?$/u;

/** `22`, `8000-8010`; undefined when it is neither. */
export function parsePortRange(input: string | number): PortRange | undefined {
  const groups = RANGE.exec(String(input))?.groups;
  const first = Number(groups?.['first']);
  const last = Number(groups?.['last'] ?? first);
  return first >= 1 && last >= first && last <= 65_535 ? { first, last } : undefined;
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
    if (block !== undefined && !hasHostBits(dataset.value, block)) return block;
    const what =
      block === undefined ? 'be an address block, such as 10.0.0.0/8 or fd00::/8' : rewritten(block);
    addIssue({ message: `must ${what}, and is ${received(dataset.value)}` });
    return NEVER;
  }),
);

function rewritten({ address, prefix }: Cidr): string {
  return `have no bits set beyond its prefix: write ${address}/${prefix}`;
}

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
