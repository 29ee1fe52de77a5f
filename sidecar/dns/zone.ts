import type { ServiceKey } from '../services/service.ts';
import { formatIPv4, formatIPv6 } from '../net/sockaddr.ts';

/** What a name stands for, by the specification of Kubernetes' DNS and as CoreDNS reads it. */
export type Meaning =
  /** `service.namespace.svc.<domain>` */
  | { readonly kind: 'service'; readonly key: ServiceKey }
  /** `_port._protocol.service.namespace.svc.<domain>` */
  | { readonly kind: 'port'; readonly key: ServiceKey; readonly port: string; readonly protocol: string }
  /** `endpoint.service.namespace.svc.<domain>` */
  | { readonly kind: 'endpoint'; readonly key: ServiceKey; readonly endpoint: string }
  /** Too long for any of these, below `svc.<domain>`. */
  | { readonly kind: 'nothing' }
  /** A name for reverse lookups. */
  | { readonly kind: 'address'; readonly address: string }
  /** Nobody's that the table knows of. */
  | { readonly kind: 'other' };

const OTHER: Meaning = { kind: 'other' };

/** What names of Kubernetes are made of, and the underscore of a port. */
const LABEL = /^[a-z0-9_-]+$/u;

/** What a name, given as its lower-case labels, means where the cluster's domain has these labels. */
export function meaningOf(labels: readonly string[], domain: readonly string[]): Meaning {
  if (labels.at(-1) === 'arpa') return reverse(labels);
  const own = labels.length - domain.length - 1;
  const isBelow =
    own >= 2 && labels[own] === 'svc' && domain.every((label, index) => labels[own + 1 + index] === label);
  // The empty label that a lone underscore leaves means any port to CoreDNS.
  if (!isBelow || !labels.every((label) => LABEL.test(label) && label !== '_')) return OTHER;
  return belowServices(labels.slice(0, own));
}

function belowServices(labels: readonly string[]): Meaning {
  const [namespace, service, third, fourth] = labels.toReversed();
  const key = `${namespace}/${service}`;
  if (labels.length > 4) return { kind: 'nothing' };
  if (fourth !== undefined) {
    return { kind: 'port', key, port: withoutUnderscore(fourth), protocol: withoutUnderscore(third ?? '') };
  }
  return third === undefined ? { kind: 'service', key } : { kind: 'endpoint', key, endpoint: third };
}

/** CoreDNS asks for none. */
function withoutUnderscore(label: string): string {
  return label.startsWith('_') ? label.slice(1) : label;
}

function reverse(labels: readonly string[]): Meaning {
  const parts = labels.slice(0, -2).toReversed();
  const bytes =
    labels.at(-2) === 'in-addr'
      ? fromDecimals(parts)
      : labels.at(-2) === 'ip6'
        ? fromNibbles(parts)
        : undefined;
  if (bytes === undefined) return OTHER;
  return { kind: 'address', address: bytes.length === 4 ? formatIPv4(bytes, 0) : formatIPv6(bytes, 0) };
}

/** RFC 1035, 3.5. */
function fromDecimals(parts: readonly string[]): Uint8Array | undefined {
  const isSound =
    parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/u.test(part) && Number(part) < 256);
  return isSound ? Uint8Array.from(parts, Number) : undefined;
}

/** RFC 3596, 2.5. */
function fromNibbles(parts: readonly string[]): Uint8Array | undefined {
  if (parts.length !== 32 || !parts.every((part) => /^[0-9a-f]$/u.test(part))) return undefined;
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(`${parts[2 * index]}${parts[2 * index + 1]}`, 16),
  );
}
