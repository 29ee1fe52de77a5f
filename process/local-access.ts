import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isFromHere } from './peer.ts';

export interface Refusal {
  readonly status: 403 | 421;
  readonly sentence: string;
}

/**
 * Why a request may not have what is for this machine, or pod, alone; undefined: it may. A page in a browser on this
 * machine can send requests here, and read the answers if it makes its own name resolve to this address (DNS
 * rebinding). It cannot hide that name, nor, under a name of ours, that it is another page.
 *
 * @param boundHost the host that the server listens on, by which it may be asked for, too.
 */
export function refuseStranger({ socket, headers }: IncomingMessage, boundHost: string): Refusal | undefined {
  const host = hostOf(headers.host ?? '');
  if (host !== boundHost && host !== 'localhost' && isIP(host) === 0) {
    return {
      status: 421,
      sentence: `this page is not ${host.slice(0, 100)}: ask for it by IP address, localhost or the host it listens on`,
    };
  }
  if (!isFromHere(socket)) {
    return {
      status: 403,
      sentence: 'this is answered to the machine or pod itself: use kubectl port-forward, and ask localhost',
    };
  }
  return isFromOtherPage(headers)
    ? { status: 403, sentence: 'other web pages may not ask for this: open it by itself, or use curl' }
    : undefined;
}

/** Of these headers, which no page can set, browsers send one or the other with whatever a page asks for. */
function isFromOtherPage({ host, origin, 'sec-fetch-site': site }: IncomingMessage['headers']): boolean {
  const isOwnOrigin = origin === undefined || origin === `http://${host}`;
  const isOwnSite = site === undefined || site === 'same-origin' || site === 'none';
  return !isOwnOrigin || !isOwnSite;
}

/** The host of a Host header, without port and brackets. */
function hostOf(header: string): string {
  return header
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');
}
