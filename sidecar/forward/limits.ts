import type { KeepAlive } from '../net/tcp.ts';

/** What one sidecar's forwarder grants its connections. */
export interface Limits {
  /**
   * Connections open at one time in each direction, all its listeners together; more are reset. Whoever holds
   * connections to the workload takes nothing from those that the workload makes.
   */
  readonly maxConnections: number;
  /** How long one endpoint may take to accept before the next is tried. */
  readonly connectTimeoutMs: number;
  /** How often one connection may be tried, at other endpoints where there are some; the way by kube-proxy counts anew. */
  readonly connectAttempts: number;
  /** How long nothing may move in either direction; where a connection may rest, how long a peer may be silent. */
  readonly idleTimeoutMs: number;
}

/** 3 s lets one lost SYN be sent again (after 1 s) and answered; idle as long as Envoy and HAProxy users expect. */
export const DEFAULT_LIMITS: Limits = {
  maxConnections: 10_000,
  connectTimeoutMs: 3_000,
  connectAttempts: 3,
  idleTimeoutMs: 60 * 60_000,
};

/** A SYN that was lost is sent again after 1, 3 and 7 s. */
const LONE_ADDRESS_TIMEOUT_MS = 10_000;

/** How long one address may take to accept; longer where nobody else can be behind it, or tried. */
export function connectLimitMs({ connectTimeoutMs }: Limits, isLone: boolean): number {
  return isLone ? Math.max(connectTimeoutMs, LONE_ADDRESS_TIMEOUT_MS) : connectTimeoutMs;
}

/** Address translators on the way forget connections that are silent for some minutes. */
const LONGEST_SILENCE_SECONDS = 60;
const PROBES = 60;

/** Asks a silent peer often enough to keep the way open, and gives it up once it has not answered for the limit. */
export function keepAliveWithin(idleTimeoutMs: number): KeepAlive {
  const limit = Math.max(2, Math.round(idleTimeoutMs / 1_000));
  const idleSeconds = Math.min(LONGEST_SILENCE_SECONDS, limit - 1);
  const intervalSeconds = Math.ceil((limit - idleSeconds) / PROBES);
  return { idleSeconds, intervalSeconds, probes: Math.ceil((limit - idleSeconds) / intervalSeconds) };
}
