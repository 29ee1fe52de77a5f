/** A clock that a test turns, and what is to be run when it gets there. */
export class VirtualClock {
  #now: number;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  constructor(now: number) {
    this.#now = now;
  }

  readonly now = (): number => this.#now;

  readonly schedule = (delayMs: number, run: () => void): (() => void) => {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** Turns it to the next timer that is due within so long, and runs it. False: there is none. */
  next(withinMs = Number.POSITIVE_INFINITY): boolean {
    const [timer] = [...this.#timers].toSorted((a, b) => a.at - b.at);
    if (timer === undefined || timer.at > this.#now + withinMs) return false;
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.run();
    return true;
  }
}
