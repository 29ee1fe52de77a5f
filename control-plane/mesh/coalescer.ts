/** The clock as an argument. */
export interface Clock {
  /** Milliseconds from some fixed moment, never going back. */
  now(): number;
  /** Runs once after so many milliseconds, unless the returned function is called before. */
  after(milliseconds: number, run: () => void): () => void;
}

export interface CoalescingWindow {
  /** A burst is over once nothing came for this long. */
  readonly quietMs: number;
  /** No change waits longer than this, however long the burst. */
  readonly longestMs: number;
}

export const DEFAULT_WINDOW: CoalescingWindow = { quietMs: 20, longestMs: 200 };

/**
 * Decides when changes go out: the first after quiet at once, those that follow close together. A single edit
 * is not delayed, and a burst of them costs a few pushes instead of one each.
 */
export class Coalescer {
  readonly #clock: Clock;
  readonly #window: CoalescingWindow;
  readonly #flush: () => void;
  #lastChange = -Infinity;
  #waitingSince: number | undefined;
  #cancelTimer: () => void = () => {};

  constructor(clock: Clock, window: CoalescingWindow, flush: () => void) {
    this.#clock = clock;
    this.#window = window;
    this.#flush = flush;
  }

  changed(): void {
    const now = this.#clock.now();
    const isAfterQuiet = now - this.#lastChange >= this.#window.quietMs;
    this.#lastChange = now;
    if (this.#waitingSince === undefined && isAfterQuiet) {
      this.#flush();
      return;
    }
    this.#waitingSince ??= now;
    const due = Math.min(now + this.#window.quietMs, this.#waitingSince + this.#window.longestMs);
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(Math.max(0, due - now), () => {
      this.#waitingSince = undefined;
      this.#flush();
    });
  }

  /** What waits is not sent any more. */
  close(): void {
    this.#cancelTimer();
  }
}
