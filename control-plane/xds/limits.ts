/** What one client may cost. Sizes are bytes, times milliseconds. */
export interface Limits {
  /** Resource types that one stream may subscribe to. */
  readonly types: number;
  /** Names and collections that one stream may subscribe to, all types together. */
  readonly subscriptions: number;
  /** Their length together. */
  readonly subscriptionBytes: number;
  /** Resources that one stream may say it holds already (`initial_resource_versions`), all types together. */
  readonly claims: number;
  /** The serialised node that a client introduces itself with. */
  readonly nodeBytes: number;
  /** Beyond this much a response is split, where its type allows it. */
  readonly responseBytes: number;
  /** What a client must be able to receive; a single resource above it is sent all the same, and logged. */
  readonly clientReceiveBytes: number;
  /** New streams a second, lastingly, and how many at once after quiet. */
  readonly newStreamsPerSecond: number;
  readonly newStreamsBurst: number;
  /** Of these, from one address. A proxy in front of us must be able to come back with all of its streams. */
  readonly newStreamsPerSecondPerCaller: number;
  readonly newStreamsBurstPerCaller: number;
  /** Streams that may be open, and those of one caller; a sidecar needs one, and a proxy in front of us many. */
  readonly streams: number;
  readonly streamsPerCaller: number;
  /** Bytes that streams make this process hold: names, claims, nodes, requests that are read, unacknowledged names. */
  readonly heldBytes: number;
  readonly heldBytesPerCaller: number;
  /** Bytes of responses that connections have not taken. Beyond this streams wait. */
  readonly unsentBytes: number;
  readonly unsentBytesPerCaller: number;
  /** A stream that took nothing for so long, while others of its caller wait to be sent something, is ended. */
  readonly stallMs: number;
  /** A message that began to come in and is not complete by then is refused. */
  readonly messageMs: number;
  /** A stream that has not asked for anything by then is closed. */
  readonly firstRequestMs: number;
  /** Streams end after this long, give or take a tenth, so that replicas come to share the load anew. */
  readonly streamAgeMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  types: 64,
  subscriptions: 8192,
  subscriptionBytes: 1 << 20,
  claims: 100_000,
  nodeBytes: 64 << 10,
  responseBytes: 64 << 10,
  clientReceiveBytes: 4 << 20,
  newStreamsPerSecond: 1000,
  newStreamsBurst: 5000,
  newStreamsPerSecondPerCaller: 200,
  newStreamsBurstPerCaller: 2000,
  streams: 10_000,
  streamsPerCaller: 2000,
  heldBytes: 256 << 20,
  heldBytesPerCaller: 64 << 20,
  unsentBytes: 128 << 20,
  unsentBytesPerCaller: 32 << 20,
  stallMs: 60_000,
  messageMs: 30_000,
  firstRequestMs: 10_000,
  streamAgeMs: 30 * 60_000,
};

/** Why a stream is refused for bytes, and what to do about it. */
export function overBudget(shortage: 'caller' | 'process', limits: Limits): string {
  return shortage === 'caller'
    ? `The streams of this caller would make the control plane hold more than ${limits.heldBytesPerCaller} bytes (CORTEXFLOW_HELD_BYTES_PER_CALLER): subscribe to less, by a wildcard or a collection, or end some of them.`
    : `All streams would make the control plane hold more than ${limits.heldBytes} bytes (CORTEXFLOW_HELD_BYTES): try again after a moment.`;
}

const COUNTED = {
  types: 'types are subscribed',
  subscriptions: 'names are subscribed',
  subscriptionBytes: 'bytes of names are subscribed',
  claims: 'resources are claimed as held',
  nodeBytes: 'bytes are taken by the node',
} as const satisfies Partial<Record<keyof Limits, string>>;

/** What is counted over all that one stream asks for. */
export type CountedLimit = keyof typeof COUNTED;

/** Why a stream is refused, and what to do about it. */
export function overLimit(limit: CountedLimit, value: number, allowed: number): string {
  const remedy =
    limit === 'nodeBytes' ? 'send less metadata' : 'subscribe to less, by a wildcard or a collection';
  return `${value} ${COUNTED[limit]} on this stream, and no more than ${allowed} are allowed: ${remedy}.`;
}
