/** Each new connection earns this part of a retry. */
const RETRIES_PER_CONNECTION = 0.2;
/** Earned by the mere passing of time, so that a service with little traffic may retry too. */
const RETRIES_PER_SECOND = 10;
/** The most that can be saved up, and what a service starts with. */
const MOST_RETRIES = 100;

/**
 * Bounds the retries of one Service to a share of its connections: when everything fails, retrying multiplies
 * the load on what is failing. Times are milliseconds of a monotonic clock.
 */
export class RetryBudget {
  #retries = MOST_RETRIES;
  #countedAtMs: number;

  constructor(nowMs: number) {
    this.#countedAtMs = nowMs;
  }

  deposit(): void {
    this.#retries = Math.min(MOST_RETRIES, this.#retries + RETRIES_PER_CONNECTION);
  }

  /** Whether one more retry may be made; if so, it is spent. */
  withdraw(nowMs: number): boolean {
    const earned = ((nowMs - this.#countedAtMs) / 1000) * RETRIES_PER_SECOND;
    this.#retries = Math.min(MOST_RETRIES, this.#retries + earned);
    this.#countedAtMs = nowMs;
    if (this.#retries < 1) return false;
    this.#retries--;
    return true;
  }
}
