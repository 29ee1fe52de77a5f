/** What comes at once has to be waited for by everybody else: no more than is earned in so long, or a hundred. */
const AT_ONCE_MS = 10;
const FEWEST_AT_ONCE = 100;

/** A token bucket: so many a second, and a few of them at once. Times are milliseconds of a monotonic clock. */
export class Rate {
  readonly #perSecond: number;
  readonly #atOnce: number;
  #left: number;
  #countedAtMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#atOnce = Math.min(perSecond, Math.max(FEWEST_AT_ONCE, (perSecond / 1_000) * AT_ONCE_MS));
    this.#left = this.#atOnce;
    this.#countedAtMs = nowMs;
  }

  /** How long until one more may be taken; 0: now. */
  dueInMs(nowMs: number): number {
    const earned = ((nowMs - this.#countedAtMs) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#atOnce, this.#left + earned);
    this.#countedAtMs = nowMs;
    return this.#left >= 1 ? 0 : ((1 - this.#left) / this.#perSecond) * 1_000;
  }

  take(): void {
    this.#left--;
  }
}
