import type { Address } from '../../process/environment.ts';
import type { FieldPath } from './mistakes.ts';

/** One thing that listens: which field says where, and what people call it. */
interface Claim {
  readonly field: FieldPath;
  readonly listen: Address;
  readonly what: string;
}

interface Listens {
  readonly upstreams: readonly { readonly listen: Address; readonly protocol: string }[];
  readonly messages: { readonly listen: readonly Address[] };
  readonly admin: Address;
  readonly dns?: { readonly listen: readonly Address[] } | undefined;
  readonly interception?:
    { readonly outbound: { readonly port: number }; readonly inbound: { readonly port: number } } | undefined;
}

/**
 * The first field that claims an address which the admin page or the interception has, if any. Upstreams among
 * themselves are the schema's to judge.
 */
export function findClash(config: Listens): { readonly path: FieldPath; readonly what: string } | undefined {
  const [admin, ...ports] = fixed(config);
  for (const [claims, holders] of [
    [ports, [admin]],
    [messagesOf(config), [admin, ...ports]],
    [upstreamsOf(config), [admin, ...ports, ...messagesOf(config)]],
  ] as const) {
    for (const { field, listen } of claims) {
      const holder = holders.find((other) => meet(other.listen, listen));
      if (holder !== undefined) {
        return { path: field, what: `is where ${holder.what}: give one of them another port` };
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
    what: 'the admin page listens',
  };
  const names = (dns?.listen ?? []).map((listen, index) => ({
    field: ['dns', 'listen', index],
    listen,
    what: 'the DNS proxy listens',
  }));
  if (interception === undefined) return [page, ...names];
  const ports = (['outbound', 'inbound'] as const).map((side) => ({
    field: ['interception', side, 'port'],
    listen: { host: '0.0.0.0', port: interception[side].port },
    what: `${side} connections are redirected to`,
  }));
  return [page, ...ports, ...names];
}

function upstreamsOf({ upstreams }: Listens): readonly Pick<Claim, 'field' | 'listen'>[] {
  // What else listens does so for TCP.
  return upstreams.flatMap(({ listen, protocol }, index) =>
    protocol === 'tcp' ? [{ field: ['upstreams', index, 'listen'], listen }] : [],
  );
}

function messagesOf({ messages }: Listens): readonly Claim[] {
  const what = 'messages are taken';
  return messages.listen.map((listen, index) => ({ field: ['messages', 'listen', index], listen, what }));
}

/** Port 0 asks for a free one. */
function meet(a: Address, b: Address): boolean {
  return a.port !== 0 && a.port === b.port && (a.host === b.host || isWildcard(a.host) || isWildcard(b.host));
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
