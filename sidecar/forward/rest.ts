/** Once an intercepted connection has rested for this long, its peers are asked whether they are still there. */
const KEPT_ALIVE_AFTER_MS = 5_000;

/** For how long a peer may leave a connection open that the workload has closed, once the sidecar is to end. */
const LINGER_MS = 3_000;

/** For how long the last words of a side that is gone may wait for the other to take some of them. */
const LAST_WORDS_MS = 10_000;

/** A connection on which nothing has moved for a while. */
export interface Resting {
  readonly quietMs: number;
  readonly isIntercepted: boolean;
  /** The workload has closed its side, and the sidecar was told to end. */
  readonly isLeftBehind: boolean;
  /** One side is gone, and what it had sent is still being passed on. */
  readonly isBroken: boolean;
  readonly idleTimeoutMs: number;
}

/**
 * What is to be done about it. Whoever connects to the sidecar on purpose accepts that a connection is cut that
 * nobody uses; whoever is intercepted does not. What is left behind, by a pool of connections that looks at one
 * only when it needs it, keeps nobody from ending.
 */
export function afterRest(resting: Resting): 'nothing' | 'keep-alive' | 'close' | 'cut' | 'break-off' {
  const { quietMs, isIntercepted, isLeftBehind, isBroken, idleTimeoutMs } = resting;
  if (isBroken && quietMs >= LAST_WORDS_MS) return 'break-off';
  if (!isIntercepted) return quietMs >= idleTimeoutMs ? 'cut' : 'nothing';
  if (isLeftBehind && quietMs >= LINGER_MS) return 'close';
  return quietMs >= KEPT_ALIVE_AFTER_MS ? 'keep-alive' : 'nothing';
}
