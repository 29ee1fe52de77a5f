import { isIPv6 } from 'node:net';
import type { Address } from '../../process/environment.ts';
import type { FieldPath } from './mistakes.ts';

/** One thing that listens: which field says where, by what, and what people call it. */
interface Claim {
  readonly field: FieldPath;
  readonly listen: Address;
  readonly protocol: 'tcp' | 'udp';
  /** `::` does not take IPv4 in. */
  readonly ipv6Only?: boolean;
  readonly what: string;
}

type Place = Omit<Claim, 'what'>;

interface Listens {
  readonly upstreams: readonly { readonly listen: Address; readonly protocol: Claim['protocol'] }[];
  readonly messages: { readonly listen: readonly Address[] };
  readonly admin: Address;
  readonly dns?: { readonly listen: readonly Address[] } | undefined;
  readonly interception?:
    { readonly outbound: { readonly port: number }; readonly inbound: { readonly port: number } } | undefined;
}

/**
 * The first field that claims an address which something else of the sidecar has by the same protocol, if any.
 * Upstreams among themselves are the schema's to judge.
 */
export function findClash(config: Listens): { readonly path: FieldPath; readonly what: string } | undefined {
  const [admin, ...ports] = fixed(config);
  for (const [claims, holders] of [
    [ports, [admin]],
    [messagesOf(config), [admin, ...ports]],
    [upstreamsOf(config), [admin, ...ports, ...messagesOf(config)]],
  ] as const) {
    for (const claim of claims) {
      const holder = holders.find((other) => meet(other, claim));
      if (holder !== undefined) {
        return { path: claim.field, what: `is where ${holder.what}: give one of them another port` };
      }
    }
  }
  return undefined;
}

function fixed({ admin, interception, dns }: Listens): readonly [Claim, ...Claim[]] {
  const host = admin.host === 'localhost' ? '127.0.0.1' : admin.host;
  const page: Claim = {
    field: ['admin'],
    listen: { host, port: admin.port },
    protocol: 'tcp',
    what: 'the admin page listens',
  };
  const names = (dns?.listen ?? []).flatMap((listen, index) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      field: ['dns', 'listen', index],
      listen,
      protocol,
      ipv6Only: true,
      what: 'the DNS proxy listens',
    })),
  );
  if (interception === undefined) return [page, ...names];
  const ports = (['outbound', 'inbound'] as const).map((side) => ({
    field: ['interception', side, 'port'],
    listen: { host: '0.0.0.0', port: interception[side].port },
    protocol: 'tcp' as const,
    what: `${side} connections are redirected to`,
  }));
  return [page, ...ports, ...names];
}

function upstreamsOf({ upstreams }: Listens): readonly Place[] {
  return upstreams.map(({ listen, protocol }, index) => ({
    field: ['upstreams', index, 'listen'],
    listen,
    protocol,
  }));
}

function messagesOf({ messages }: Listens): readonly Claim[] {
  return messages.listen.map((listen, index) => ({
    field: ['messages', 'listen', index],
    listen,
    protocol: 'tcp',
    ipv6Only: true,
    what: 'messages are taken',
  }));
}

function meet(one: Place, other: Place): boolean {
  const [a, b] = [one.listen, other.listen];
  // Port 0 asks for a free one.
  if (one.protocol !== other.protocol || a.port !== b.port || a.port === 0) return false;
  if (a.host === b.host) return true;
  const families = familiesOf(other);
  const shareFamily = familiesOf(one).some((family) => families.includes(family));
  return shareFamily && (isWildcard(a.host) || isWildcard(b.host));
}

function familiesOf({ listen: { host }, ipv6Only = false }: Place): readonly ('ipv4' | 'ipv6')[] {
  if (host === '::' && !ipv6Only) return ['ipv4', 'ipv6'];
  return isIPv6(host) ? ['ipv6'] : ['ipv4'];
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
