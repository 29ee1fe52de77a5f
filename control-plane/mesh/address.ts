import { isIPv4, isIPv6 } from 'node:net';

export type IpFamily = 'ipv4' | 'ipv6';

export interface Address {
  readonly family: IpFamily;
  /** In the one form that RFC 5952 gives an address, so that equal addresses are equal text. */
  readonly text: string;
}

/** Undefined: the text is no IP address. An address with a zone (`fe80::1%eth0`) means something on one host only. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 'ipv4', text };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return { family: 'ipv6', text: new URL(`http://[${text}]`).hostname.slice(1, -1) };
}

export function isUnspecified(address: Address): boolean {
  return address.text === '0.0.0.0' || address.text === '::';
}
