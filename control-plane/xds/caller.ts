import type { ServerDuplexStream, status } from '@grpc/grpc-js';

/** A call as bytes: requests are read, and responses serialised, by us. */
export type RawCall = ServerDuplexStream<Buffer, Buffer>;

/** Who a stream belongs to, as proven by a credential; never taken from what the node says of itself. */
export interface Caller {
  /** For display and logs. */
  readonly name: string;
}

export type Identified =
  { readonly ok: Caller } | { readonly rejected: { readonly code: status; readonly details: string } };

/** Looks at a call's metadata and credentials before anything is read from it. */
export type Identify = (call: RawCall) => Identified | Promise<Identified>;

/** Whoever can reach the port is served, under the address it comes from. */
export const anybody: Identify = (call) => ({ ok: { name: call.getPeer() } });
