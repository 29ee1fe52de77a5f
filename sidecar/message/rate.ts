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

  /** Whether one more may be taken. */
  isDue(nowMs: number): boolean {
    const earned = ((nowMs - this.#countedAtMs) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#perSecond, this.#left + earned);
    this.#countedAtMs = nowMs;
    return this.#left >= 1;
  }

  take(): void {
    this.#left--;
  }
}
