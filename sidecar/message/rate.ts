/**
 * A token bucket: so many a second, and as many at once after a pause. Times are milliseconds of a monotonic
 * clock.
 */
export class Rate {
  readonly #perSecond: number;
  #left: number;
  #countedAtMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
    this.#countedAtMs = nowMs;
  }

  /** Whether one more is due; if so, it is counted. */
  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#countedAtMs) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#perSecond, this.#left + earned);
    this.#countedAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
