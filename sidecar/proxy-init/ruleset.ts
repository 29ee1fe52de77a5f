import type { Cidr, Interception, PortRange } from '../config.ts';

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
  readonly hook: 'prerouting' | 'output';
  readonly rules: readonly Rule[];
}

/** The rules of a chain are tried in their order, for the first packet of a connection only. */
export interface Rule {
  /** Says what it is about, to whoever lists the rules. Unique in its chain. */
  readonly comment: string;
  /** nft(8) expressions. */
  readonly matches: string;
  /** To this port of the pod; undefined: left alone. */
  readonly redirectTo?: number;
}

export interface Features {
  /** Whether the kernel can look up the socket that a packet is for (nft_socket). */
  readonly findsListeners: boolean;
}

export const TABLE = 'cortexflow';

/** The priority at which destinations are rewritten (NF_IP_PRI_NAT_DST). */
export const PRIORITY = -100;

/** What the sidecar itself listens on, now and later: for those who speak to it, whatever is redirected. */
const SIDECAR_PORTS = { first: 5053, last: 5058 } as const;

/** No Service and no pod is there, and a link-local IPv6 address means nothing without its interface. */
const LINK_LOCAL = { ipv4: '169.254.0.0/16', ipv6: 'fe80::/10' } as const;

export function rulesetFor({ proxyUid, outbound, inbound }: Interception, features: Features): Ruleset {
  return {
    sets: [...setsOf('outbound', outbound.exclude), ...setsOf('inbound', inbound.exclude)],
    chains: [
      {
        name: 'outbound',
        hook: 'output',
        rules: [
          ...ALWAYS,
          { comment: 'loopback, and the pod to itself', matches: 'oif lo' },
          { comment: 'the sidecar itself', matches: `meta skuid ${proxyUid}` },
          { comment: 'link-local', matches: `ip daddr ${LINK_LOCAL.ipv4}` },
          { comment: 'link-local, IPv6', matches: `ip6 daddr ${LINK_LOCAL.ipv6}` },
          ...exclusions('outbound', 'daddr'),
          { comment: 'to the sidecar', matches: 'meta l4proto tcp', redirectTo: outbound.port },
        ],
      },
      {
        name: 'inbound',
        hook: 'prerouting',
        rules: [
          ...ALWAYS,
          { comment: 'loopback, and the pod to itself', matches: 'iif lo' },
          {
            comment: 'ports of the sidecar',
            matches: `tcp dport ${sidecarPorts([outbound.port, inbound.port])}`,
          },
          ...exclusions('inbound', 'saddr'),
          { comment: 'routed on to somebody else', matches: 'fib daddr type != local' },
          inboundRedirect(inbound.port, features),
        ],
      },
    ],
  };
}

function sidecarPorts(redirectedTo: readonly number[]): string {
  const { first, last } = SIDECAR_PORTS;
  const others = redirectedTo.filter((port) => port < first || port > last);
  return `{ ${[`${first}-${last}`, ...others].join(', ')} }`;
}

/**
 * Connections that are open already stay what they are, also where connection tracking begins with these rules
 * and takes them for new.
 */
const ALWAYS: readonly Rule[] = [
  { comment: 'no beginning of a connection', matches: 'tcp flags & (fin | syn | rst | ack) != syn' },
];

/**
 * Only where somebody listens at that address and port: else the kernel refuses, so that a probe that only
 * connects, and a client that would try another endpoint, learn the truth. Any socket is found to be transparent
 * or not, and none is neither.
 */
function inboundRedirect(port: number, { findsListeners }: Features): Rule {
  return findsListeners
    ? {
        comment: 'to the sidecar where somebody listens',
        matches: 'meta l4proto tcp socket transparent <= 1',
        redirectTo: port,
      }
    : { comment: 'to the sidecar', matches: 'meta l4proto tcp', redirectTo: port };
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
    { comment: 'excluded ports', matches: `tcp dport @${side}_excluded_ports` },
    { comment: 'excluded addresses', matches: `ip ${address} @${side}_excluded_ipv4` },
    { comment: 'excluded addresses, IPv6', matches: `ip6 ${address} @${side}_excluded_ipv6` },
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

function renderChain({ name, hook, rules }: Chain): string[] {
  return [
    `  chain ${name} {`,
    `    type nat hook ${hook} priority ${PRIORITY}; policy accept;`,
    ...rules.map(
      ({ matches, redirectTo, comment }) =>
        `    ${matches} ${redirectTo === undefined ? 'return' : `redirect to :${redirectTo}`} comment "${comment}"`,
    ),
    '  }',
  ];
}
