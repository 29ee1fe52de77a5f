import type { status } from '@grpc/grpc-js';
import type { RawCall } from './caller.ts';

/** When a stream is to end, and what its client is told. */
export interface StreamEnd {
  readonly at: number;
  readonly details: string;
}

/** Why a call is not served. */
export interface Refusal {
  readonly code: status;
  readonly details: string;
}

export const GOING_AWAY = 'This control plane is shutting down: connect to another one.';
export const STREAM_TOO_OLD = 'The stream reached its maximum age: open another one.';
export const STALLED =
  'The client took nothing of what was sent, while other streams from its address wait: read, or open fewer streams.';
export const TOO_MANY_OF_PEER =
  'Too many streams are open from this address (CORTEXFLOW_MAX_STREAMS_PER_CALLER): end some of them first.';
export const TOO_MANY_STREAMS =
  'Too many streams are open (CORTEXFLOW_MAX_STREAMS): connect to another control plane, or try again later.';
export const TOO_MANY_NEW_STREAMS_OF_PEER =
  'Too many new streams from this address at once (CORTEXFLOW_NEW_STREAMS_PER_SECOND_PER_CALLER, CORTEXFLOW_NEW_STREAMS_BURST_PER_CALLER): try again after a moment.';
export const TOO_MANY_NEW_STREAMS =
  'Too many new streams at once (CORTEXFLOW_NEW_STREAMS_PER_SECOND, CORTEXFLOW_NEW_STREAMS_BURST): try again after a moment.';

export function refuse(call: RawCall, { code, details }: Refusal): void {
  call.emit('error', Object.assign(new Error(details), { code, details }));
}
