export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket: so many at once after quiet, so many a second lastingly. Knows time only from its caller. */
export class Admission {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor({ perSecond, burst }: Rate, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = nowMs;
  }

  admit(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** A bucket that is full again is as good as a new one. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#burst;
  }

  #refill(nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#at);
    this.#tokens = Math.min(this.#burst, this.#tokens + elapsed * this.#perMs);
    this.#at = nowMs;
  }
}

/** How many peers are remembered; beyond that the one that came longest ago is forgotten. */
const PEERS = 4096;

/** A token bucket for each peer, of which only those are kept that are not full. */
export class PeerAdmission {
  readonly #rate: Rate;
  readonly #most: number;
  /** Longest unused first. */
  readonly #buckets = new Map<string, Admission>();

  constructor(rate: Rate, most = PEERS) {
    this.#rate = rate;
    this.#most = most;
  }

  get size(): number {
    return this.#buckets.size;
  }

  admit(peer: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(peer) ?? new Admission(this.#rate, nowMs);
    this.#buckets.delete(peer);
    this.#forget(nowMs);
    this.#buckets.set(peer, bucket);
    return bucket.admit(nowMs);
  }

  #forget(nowMs: number): void {
    for (const [peer, bucket] of this.#buckets) {
      if (this.#buckets.size < this.#most && !bucket.isFull(nowMs)) return;
      this.#buckets.delete(peer);
    }
  }
}
