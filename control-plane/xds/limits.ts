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
  /** Streams that one peer address may have open; a pod's sidecar needs one, and a proxy in front of us many. */
  readonly streamsPerPeer: number;
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
  streamsPerPeer: 2000,
  firstRequestMs: 10_000,
  streamAgeMs: 30 * 60_000,
};

const COUNTED = {
  types: 'types are subscribed',
  subscriptions: 'names are subscribed',
  subscriptionBytes: 'bytes of names are subscribed',
  claims: 'resources are claimed as held',
} as const satisfies Partial<Record<keyof Limits, string>>;

/** What is counted over all that one stream asks for. */
export type CountedLimit = keyof typeof COUNTED;

/** Why a stream is refused, and what to do about it. */
export function overLimit(limit: CountedLimit, value: number, allowed: number): string {
  return `${value} ${COUNTED[limit]} on this stream, and no more than ${allowed} are allowed: subscribe to less, by a wildcard or a collection.`;
}
