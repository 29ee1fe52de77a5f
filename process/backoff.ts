export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Exponential backoff with jitter: each delay lies between half of and the whole of a bound that doubles
 * up to `maxMs`. The jitter keeps a thousand clients from coming back in one moment; the lower half keeps
 * one of them from coming back at once, again and again.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** How long to wait, in milliseconds, after one more failure. */
  nextMs(): number {
    const { initialMs, maxMs, random } = this.#options;
    const bound = Math.min(maxMs, initialMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return bound / 2 + (bound / 2) * random();
  }

  /** After a success. */
  reset(): void {
    this.#failures = 0;
  }
}
