/** What one sidecar's forwarder grants its connections. */
export interface Limits {
  /** Connections open at one time, all listeners together; more are reset. */
  readonly maxConnections: number;
  /** How long one endpoint may take to accept before the next is tried. */
  readonly connectTimeoutMs: number;
  /** How many endpoints one connection may try. */
  readonly connectAttempts: number;
  /** How long nothing may move in either direction. */
  readonly idleTimeoutMs: number;
}

/** 3 s lets one lost SYN be sent again (after 1 s) and answered; idle as long as Envoy and HAProxy users expect. */
export const DEFAULT_LIMITS: Limits = {
  maxConnections: 10_000,
  connectTimeoutMs: 3_000,
  connectAttempts: 3,
  idleTimeoutMs: 60 * 60_000,
};
