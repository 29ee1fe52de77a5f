import type { status } from '@grpc/grpc-js';
import type { RawCall } from './caller.ts';

/** When a stream is to end, and what its client is told. */
export interface StreamEnd {
  readonly at: number;
  readonly details: string;
  /** Whose stream it is: an address and port. */
  readonly peer: string;
}

export const GOING_AWAY = 'This control plane is shutting down: connect to another one.';
export const STREAM_TOO_OLD = 'The stream reached its maximum age: open another one.';
export const TOO_MANY_OF_PEER = 'Too many streams are open from this address: end some of them first.';
export const TOO_MANY_NEW_STREAMS =
  'Too many new streams at once (CORTEXFLOW_NEW_STREAMS_PER_SECOND, CORTEXFLOW_NEW_STREAMS_BURST): try again after a moment.';

export function refuse(call: RawCall, code: status, details: string): void {
  call.emit('error', Object.assign(new Error(details), { code, details }));
}
