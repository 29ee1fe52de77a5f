/** What one sidecar grants the flows of its UDP upstreams. */
export interface FlowLimits {
  /** Open at one time, all upstreams together; for one more, the one that has been quiet for longest makes room. */
  readonly maxFlows: number;
  /** How long nothing may come in either direction. */
  readonly flowIdleTimeoutMs: number;
}

/** A minute: resolvers and games are long done, and tunnels that count on more send something to keep alive. */
export const DEFAULT_FLOW_LIMITS: FlowLimits = { maxFlows: 10_000, flowIdleTimeoutMs: 60_000 };
