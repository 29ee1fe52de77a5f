/** What one sidecar grants those who send messages. Times in milliseconds. */
export interface MessageLimits {
  /** Connections open at one time; more are told so and closed. */
  readonly maxConnections: number;
  /** On each connection; more wait, unread. */
  readonly messagesPerSecond: number;
  /** Messages of one connection on their way at one time; more wait, unread. */
  readonly outstanding: number;
  /** How long a line may take to come. */
  readonly lineTimeoutMs: number;
  /** How long a connection may have nothing to say. */
  readonly idleTimeoutMs: number;
  /** How long replies may stay unread. */
  readonly unreadTimeoutMs: number;
  /** How long the other side may take to close a connection after its last reply. */
  readonly lingerMs: number;
  /** How long the workload may take to answer. Each sidecar on the way waits a little longer than the next. */
  readonly deliveryTimeoutMs: number;
  /** How long a sidecar may take to accept before another is tried. */
  readonly connectTimeoutMs: number;
  /** Bytes of lines and replies held for all connections together; beyond that messages are turned away. */
  readonly heldBytes: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = {
  maxConnections: 1_000,
  messagesPerSecond: 10_000,
  outstanding: 16,
  lineTimeoutMs: 10_000,
  idleTimeoutMs: 5 * 60_000,
  unreadTimeoutMs: 30_000,
  lingerMs: 1_000,
  deliveryTimeoutMs: 10_000,
  connectTimeoutMs: 1_000,
  heldBytes: 16 * 1024 * 1024,
};

const SHORTEST_TICK_MS = 10;
const LONGEST_TICK_MS = 250;
const TICKS_PER_LIMIT = 8;

/** How often to look after what has such a limit. */
export function tickMs(...limits: readonly number[]): number {
  return Math.max(
    SHORTEST_TICK_MS,
    Math.min(LONGEST_TICK_MS, ...limits.map((limit) => limit / TICKS_PER_LIMIT)),
  );
}

/** For so many connections that take messages one more may linger: it has been answered, and waits to be closed. */
const PER_LINGERING = 8;

/** How many connections may linger beside so many that take messages. */
export function lingeringBeside(connections: number): number {
  return Math.ceil(connections / PER_LINGERING);
}
