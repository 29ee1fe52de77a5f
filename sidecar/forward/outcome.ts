import type { RefusalReason } from '../services/decision.ts';

/** Why a connection was reset before it reached an endpoint. */
export type Refusal =
  | RefusalReason
  | 'endpoints-not-loaded'
  | 'connect-failed'
  | 'retry-budget-exhausted'
  | 'local-shortage'
  | 'too-many-connections';

/** `complete`: both sides sent all they had, and the other side was told so. */
export type Ending = 'complete' | 'client-reset' | 'backend-reset' | 'idle-timeout' | 'drained' | Refusal;

/** A record, so that the compiler misses the one that is left out: it would be counted nowhere. */
const EVERY_ENDING: Readonly<Record<Ending, true>> = {
  complete: true,
  'client-reset': true,
  'backend-reset': true,
  'idle-timeout': true,
  drained: true,
  'unknown-service': true,
  'unknown-port': true,
  'no-endpoints': true,
  'external-name': true,
  'not-ready': true,
  'not-redirected': true,
  'endpoints-not-loaded': true,
  'connect-failed': true,
  'retry-budget-exhausted': true,
  'local-shortage': true,
  'too-many-connections': true,
};

export const ENDINGS = Object.keys(EVERY_ENDING) as readonly Ending[];

/** `local`: this machine has run out of something; no endpoint was asked. */
export type ConnectFailure = 'refused' | 'timeout' | 'unreachable' | 'local' | 'other';

export const CONNECT_FAILURES = ['refused', 'timeout', 'unreachable', 'local', 'other'] as const;

/** What this machine has run out of, by errno. */
const SHORTAGES: Readonly<Record<string, string>> = {
  EMFILE: 'This process has as many files and sockets open as it may: raise its limit (ulimit -n).',
  ENFILE: 'This machine has as many files and sockets open as it may: raise fs.file-max.',
  ENOBUFS:
    'The kernel has no memory left for sockets: raise net.ipv4.tcp_mem or give the machine more memory.',
  ENOMEM: 'The kernel has no memory left: raise the memory limit of this process or of the machine.',
};

/** A sentence that names the limit, where connecting failed for want of something local. */
export function shortageOf(code: string): string | undefined {
  return SHORTAGES[code];
}

export function connectFailureOf(code: string): ConnectFailure {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    // No local port or address to reach this one from: another may still be reached.
    case 'EADDRNOTAVAIL':
      return 'unreachable';
    default:
      return shortageOf(code) === undefined ? 'other' : 'local';
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
