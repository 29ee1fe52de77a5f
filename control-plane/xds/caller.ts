import { status } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Logger } from '../../process/log.ts';

/** A call as bytes: requests are read, and responses serialised, by us. */
export type RawCall = ServerDuplexStream<Buffer, Buffer>;

/** Who a stream belongs to, as proven by a credential; never taken from what the node says of itself. */
export interface Caller {
  /** For display and logs. */
  readonly name: string;
  /** Callers with the same account share limits. Default: the address that the connection comes from. */
  readonly account?: string;
}

export type Identified =
  { readonly ok: Caller } | { readonly rejected: { readonly code: status; readonly details: string } };

/** Looks at a call's metadata and credentials before anything is read from it. */
export type Identify = (call: RawCall) => Identified | Promise<Identified>;

/** Whoever can reach the port is served, under the address it comes from. */
export const anybody: Identify = (call) => ({ ok: { name: call.getPeer() } });

/** Under what the limits of a caller are kept. */
export function accountOf({ account }: Caller, call: RawCall): string {
  return account ?? hostOf(call.getPeer());
}

/** A peer is `address:port`, and each of its connections has a port of its own. */
export function hostOf(peer: string): string {
  return hostOfAddress(peer.replace(/:\d+$/u, ''));
}

/** The address without the prefix of an IPv4 address that came to an IPv6 socket. */
export function hostOfAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/u, '');
}

/** Identifies a caller within so many milliseconds; an identity check that fails or hangs is a rejection. */
export async function identifyWithin(
  ms: number,
  call: RawCall,
  { identify, logger }: { readonly identify: Identify; readonly logger: Logger },
): Promise<Identified> {
  const details = `The caller could not be identified within ${ms} ms: try again after a moment.`;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Identified>((resolve) => {
    timer = setTimeout(resolve, ms, { rejected: { code: status.UNAVAILABLE, details } });
  });
  try {
    return await Promise.race([identify(call), late]);
  } catch (error) {
    logger.error('could not identify a caller', { peer: call.getPeer(), error });
    return { rejected: { code: status.INTERNAL, details: 'The caller could not be identified.' } };
  } finally {
    clearTimeout(timer);
  }
}
