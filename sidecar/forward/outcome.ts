import type { RefusalReason } from '../services/decision.ts';

/** Why a connection was reset before it reached an endpoint. */
export type Refusal =
  | RefusalReason
  | 'endpoints-not-loaded'
  | 'connect-failed'
  | 'retry-budget-exhausted'
  | 'too-many-connections';

/** `complete`: both sides sent all they had, and the other side was told so. */
export type Ending = 'complete' | 'client-reset' | 'backend-reset' | 'idle-timeout' | 'drained' | Refusal;

export const ENDINGS = [
  'complete',
  'client-reset',
  'backend-reset',
  'idle-timeout',
  'drained',
  'unknown-service',
  'unknown-port',
  'no-endpoints',
  'external-name',
  'endpoints-not-loaded',
  'connect-failed',
  'retry-budget-exhausted',
  'too-many-connections',
] as const satisfies readonly Ending[];

export type ConnectFailure = 'refused' | 'timeout' | 'unreachable' | 'other';

export const CONNECT_FAILURES = ['refused', 'timeout', 'unreachable', 'other'] as const;

export function connectFailureOf(code: string): ConnectFailure {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'unreachable';
    default:
      return 'other';
  }
}

/** How one connection ended. */
export interface Outcome {
  readonly ending: Ending;
  /** Who first said that it was over; the proxy for refusals, timeouts and drains. */
  readonly closedFirst: 'client' | 'backend' | 'proxy';
  readonly service: string;
  /** `address:port` of the last endpoint tried, empty where none was. */
  readonly endpoint: string;
  readonly connectAttempts: number;
  /** From the client to the service. */
  readonly sentBytes: number;
  /** From the service to the client. */
  readonly receivedBytes: number;
  readonly durationMs: number;
  /** The errno's name, or a sentence, where there is more to say. */
  readonly detail: string;
}
