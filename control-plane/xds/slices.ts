/** Work that is done in parts: each step takes a few milliseconds, and the work is over when it returns. */
export type Work = Generator<undefined, void, undefined>;

/** For how long one turn of the event loop works, in milliseconds, before sockets and timers get theirs. */
const SLICE_MS = 8;

/**
 * Does long work of many streams in slices, in turn: each turn of the event loop has one, so that no request holds up
 * the others, however large it is.
 */
export class Slices {
  readonly #waiting = new Set<Work>();
  #until = 0;
  #isScheduled = false;

  add(work: Work): void {
    this.#waiting.add(work);
    this.#schedule();
  }

  /** Is there time left in this turn? */
  readonly hasTime = (): boolean => performance.now() < this.#until;

  #turn(): void {
    this.#until = performance.now() + SLICE_MS;
    for (const work of this.#waiting) {
      this.#waiting.delete(work);
      if (work.next().done !== true) this.#waiting.add(work);
      if (!this.hasTime()) break;
    }
    this.#isScheduled = false;
    if (this.#waiting.size > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }
}
