import { isIPv4, isIPv6 } from 'node:net';

export type IpFamily = 'ipv4' | 'ipv6';

export interface Address {
  readonly family: IpFamily;
  /** In the one form that RFC 5952 gives an address, so that equal addresses are equal text. */
  readonly text: string;
}

const MAPPED = '::ffff:';

/**
 * An address as Kubernetes reads it (ParseIPSloppy in k8s.io/utils/net): leading zeros of an IPv4 address mean nothing,
 * and an IPv4-mapped IPv6 address is the IPv4 address. Undefined: the text is no IP address. An address with a zone
 * (`fe80::1%eth0`) means something on one host only.
 */
export function parseAddress(text: string): Address | undefined {
  const plain = withoutLeadingZeros(text);
  if (isIPv4(plain)) return { family: 'ipv4', text: plain };
  if (!isIPv6(plain) || plain.includes('%')) return undefined;
  const canonical = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  return canonical.startsWith(MAPPED)
    ? { family: 'ipv4', text: mappedAddress(canonical) }
    : { family: 'ipv6', text: canonical };
}

/** Of the decimal part: an IPv4 address, or the end of an IPv6 address. */
function withoutLeadingZeros(text: string): string {
  return text.replace(/\d+(?:\.\d+){3}$/u, (decimal) => decimal.replace(/\b0+(?=\d)/gu, ''));
}

/** `::ffff:7f00:1` is 127.0.0.1. */
function mappedAddress(canonical: string): string {
  const [high = 0, low = 0] = canonical
    .slice(MAPPED.length)
    .split(':')
    .map((word) => Number.parseInt(word, 16));
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

export function isUnspecified(address: Address): boolean {
  return address.text === '0.0.0.0' || address.text === '::';
}
