import type { Cidr } from '../../wire/cidr.ts';
import { PORTS } from '../../wire/pod.ts';
import type { Interception, PortRange } from '../config.ts';

/**
 * Which connections of a pod the kernel hands to the sidecar, as one nftables table (nft(8)). Pure: what it is
 * computed from comes as an argument, and what it comes to is a value that can be rendered and compared.
 */
export interface Ruleset {
  readonly sets: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

export type SetType = 'inet_service' | 'ipv4_addr' | 'ipv6_addr';

export interface NamedSet {
  readonly name: string;
  readonly type: SetType;
  /** Ports, ranges and address blocks as nft writes them; they may overlap. */
  readonly elements: readonly string[];
}

export interface Chain {
  readonly name: string;
  /** What it does to packets: rewrite where a connection comes from or goes to, or let them through or not. */
  readonly type: 'nat' | 'filter';
  readonly hook: 'prerouting' | 'output' | 'postrouting';
  readonly priority: number;
  readonly rules: readonly Rule[];
}

/** The rules of a chain are tried in their order; those of type nat for the first packet of a connection only. */
export interface Rule {
  /** Says what it is about, to whoever lists the rules. Unique in its chain. */
  readonly comment: string;
  /** nft(8) expressions. */
  readonly matches: string;
  readonly action: Action;
}

export type Action =
  /** Left alone. */
  | { readonly kind: 'return' }
  /** Not let through, and counted. */
  | { readonly kind: 'drop' }
  /** To this port of the pod. */
  | { readonly kind: 'redirect'; readonly port: number }
  /** As if it came from the address that it goes to. */
  | { readonly kind: 'from-destination'; readonly family: 'ip' | 'ip6' };

export interface Features {
  /** Whether the kernel can look up the socket that a packet is for (nft_socket). */
  readonly findsListeners: boolean;
}

export const TABLE = 'cortexflow';

/** After connection tracking (NF_IP_PRI_CONNTRACK, -200) has looked at a packet, before its destination is rewritten. */
const TRACKED_PRIORITY = -150;

/** The priorities at which destinations and sources are rewritten (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC). */
const DESTINATION_PRIORITY = -100;
const SOURCE_PRIORITY = 100;

/** For those who speak to the sidecar itself, whatever is redirected. */
const SIDECAR_PORTS = PORTS;

/** No Service and no pod is there, and a link-local IPv6 address means nothing without its interface. */
const LINK_LOCAL = { ipv4: '169.254.0.0/16', ipv6: 'fe80::/10' } as const;

export function rulesetFor(interception: Interception, features: Features): Ruleset {
  const { outbound, inbound } = interception;
  return {
    sets: [...setsOf('outbound', outbound.exclude), ...setsOf('inbound', inbound.exclude)],
    chains: [
      outboundChain(interception),
      invalidChain(interception),
      inboundChain(interception, features),
      sourceChain(interception),
    ],
  };
}

function outboundChain({ proxyUid, outbound }: Interception): Chain {
  return {
    name: 'outbound',
    type: 'nat',
    hook: 'output',
    priority: DESTINATION_PRIORITY,
    rules: [
      leave('no beginning of a connection', NO_BEGINNING),
      leave('loopback, and the pod to itself', 'oif lo'),
      leave('the sidecar itself', `meta skuid ${proxyUid}`),
      leave('link-local', `ip daddr ${LINK_LOCAL.ipv4}`),
      leave('link-local, IPv6', `ip6 daddr ${LINK_LOCAL.ipv6}`),
      ...exclusions('outbound', 'daddr'),
      redirect('to the sidecar', 'meta l4proto tcp', outbound.port),
    ],
  };
}

/**
 * A segment that connection tracking cannot place, for instance out of window after loss or reordering, belongs to
 * no connection for it, so that nothing rewrites where it goes. Of an intercepted connection it would come to the
 * workload's own port, where the kernel knows of no such connection and resets it. Dropped, it is as good as lost,
 * and is sent again.
 */
function invalidChain({ outbound, inbound }: Interception): Chain {
  return {
    name: 'invalid',
    type: 'filter',
    hook: 'prerouting',
    priority: TRACKED_PRIORITY,
    rules: [
      ...spared(sidecarPorts([outbound.port, inbound.port])),
      { comment: 'out of window', matches: 'meta l4proto tcp ct state invalid', action: { kind: 'drop' } },
    ],
  };
}

/**
 * Only where somebody listens at that address and port: else the kernel refuses, so that a probe that only
 * connects, and a client that would try another endpoint, learn the truth. Any socket that is found is
 * transparent or not, and none is neither.
 */
function inboundChain({ outbound, inbound }: Interception, { findsListeners }: Features): Chain {
  const ports = sidecarPorts([outbound.port, inbound.port]);
  return {
    name: 'inbound',
    type: 'nat',
    hook: 'prerouting',
    priority: DESTINATION_PRIORITY,
    rules: [
      leave('no beginning of a connection', NO_BEGINNING),
      ...spared(ports),
      findsListeners
        ? redirect(
            'to the sidecar where somebody listens',
            'meta l4proto tcp socket transparent <= 1',
            inbound.port,
          )
        : redirect('to the sidecar', 'meta l4proto tcp', inbound.port),
    ],
  };
}

/**
 * The sidecar connects to the workload from loopback, whose ports are free again after a second; the workload is
 * to see its own address and nobody on loopback.
 */
function sourceChain({ proxyUid }: Interception): Chain {
  const own = `oif lo meta skuid ${proxyUid} meta l4proto tcp`;
  return {
    name: 'source',
    type: 'nat',
    hook: 'postrouting',
    priority: SOURCE_PRIORITY,
    rules: [
      {
        comment: 'the sidecar to the workload',
        matches: `${own} ip saddr 127.0.0.1 ip daddr != 127.0.0.0/8`,
        action: { kind: 'from-destination', family: 'ip' },
      },
      {
        comment: 'the sidecar to the workload, IPv6',
        matches: `${own} ip6 saddr ::1 ip6 daddr != ::1`,
        action: { kind: 'from-destination', family: 'ip6' },
      },
    ],
  };
}

/**
 * Connections that are open already stay what they are, also where connection tracking begins with these rules
 * and takes them for new.
 */
const NO_BEGINNING = 'tcp flags & (fin | syn | rst | ack) != syn';

function leave(comment: string, matches: string): Rule {
  return { comment, matches, action: { kind: 'return' } };
}

function redirect(comment: string, matches: string, port: number): Rule {
  return { comment, matches, action: { kind: 'redirect', port } };
}

function sidecarPorts(redirectedTo: readonly number[]): string {
  const { first, last } = SIDECAR_PORTS;
  const others = redirectedTo.filter((port) => port < first || port > last);
  return `{ ${[`${first}-${last}`, ...others].join(', ')} }`;
}

function setsOf(
  side: string,
  { ports, cidrs }: { readonly ports: readonly PortRange[]; readonly cidrs: readonly Cidr[] },
): readonly NamedSet[] {
  const blocks = (family: Cidr['family']): string[] =>
    cidrs.filter((cidr) => cidr.family === family).map(({ address, prefix }) => `${address}/${prefix}`);
  return [
    {
      name: `${side}_excluded_ports`,
      type: 'inet_service',
      elements: ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)),
    },
    { name: `${side}_excluded_ipv4`, type: 'ipv4_addr', elements: blocks('ipv4') },
    { name: `${side}_excluded_ipv6`, type: 'ipv6_addr', elements: blocks('ipv6') },
  ];
}

function exclusions(side: string, address: 'saddr' | 'daddr'): readonly Rule[] {
  return [
    leave('excluded ports', `tcp dport @${side}_excluded_ports`),
    leave('excluded addresses', `ip ${address} @${side}_excluded_ipv4`),
    leave('excluded addresses, IPv6', `ip6 ${address} @${side}_excluded_ipv6`),
  ];
}

/** What comes in and is none of the sidecar's. */
function spared(ports: string): readonly Rule[] {
  return [
    leave('loopback, and the pod to itself', 'iif lo'),
    leave('ports of the sidecar', `tcp dport ${ports}`),
    ...exclusions('inbound', 'saddr'),
    leave('routed on to somebody else', 'fib daddr type != local'),
  ];
}

/** For `nft -f`: one transaction that puts the table in the place of an earlier one, if there is any. */
export function renderRuleset({ sets, chains }: Ruleset): string {
  return [
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...sets.flatMap(renderSet),
    ...chains.flatMap(renderChain),
    '}',
    '',
  ].join('\n');
}

function renderSet({ name, type, elements }: NamedSet): string[] {
  return [
    `  set ${name} {`,
    `    type ${type}`,
    '    flags interval',
    '    auto-merge',
    ...(elements.length === 0 ? [] : [`    elements = { ${elements.join(', ')} }`]),
    '  }',
  ];
}

function renderChain({ name, type, hook, priority, rules }: Chain): string[] {
  return [
    `  chain ${name} {`,
    `    type ${type} hook ${hook} priority ${priority}; policy accept;`,
    ...rules.map(
      ({ matches, action, comment }) => `    ${matches} ${renderAction(action)} comment "${comment}"`,
    ),
    '  }',
  ];
}

function renderAction(action: Action): string {
  switch (action.kind) {
    case 'redirect':
      return `redirect to :${action.port}`;
    case 'from-destination':
      return `snat ${action.family} to ${action.family} daddr`;
    case 'drop':
      return 'counter drop';
    default:
      return 'return';
  }
}
