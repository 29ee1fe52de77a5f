const FIRST_MS = 30_000;
/** Three times as long as gRPC servers ask for by default; beyond it a dead control plane would be found too late. */
const LONGEST_MS = 16 * 60_000;

/**
 * How often connections to each control plane are pinged: half as often whenever that one says that it is too much.
 * grpc-js does the same within a channel, and each stream has a channel of its own.
 */
export class Keepalive {
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #intervals = new Map<string, number>();

  constructor(firstMs = FIRST_MS, longestMs = LONGEST_MS) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  intervalMs(address: string): number {
    return this.#intervals.get(address) ?? this.#firstMs;
  }

  /** Returns the interval from now on. */
  pingLess(address: string): number {
    const intervalMs = Math.min(2 * this.intervalMs(address), this.#longestMs);
    this.#intervals.set(address, intervalMs);
    return intervalMs;
  }
}
