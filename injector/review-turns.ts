/** What runs before other connections are listened to again: some 2 ms of work. */
const TURN_COST = 256 * 1024;

interface Waiting {
  readonly cost: number;
  readonly run: () => void;
}

/** What one address has waiting. */
interface Line {
  readonly waiting: Waiting[];
  /** When it is its turn, in costs that all have been charged: the lowest is next (start-time fair queueing). */
  start: number;
}

/**
 * Parses and judges reviews one at a time. While there are more than fit into a turn of the event loop, addresses
 * have equal shares of the work, so that one that sends much holds up none but itself: an API server is another.
 */
export class ReviewTurns {
  readonly #lines = new Map<string, Line>();
  /** Of addresses that have nothing waiting: where their next line begins, as long as others wait. */
  readonly #next = new Map<string, number>();
  #spent = 0;
  #clock = 0;
  #isScheduled = false;

  /** `cost`: in bytes of plain text, about. Resolves with what `work` returns. */
  take<T>(address: string, cost: number, work: () => T): Promise<Awaited<T>> {
    if (this.#lines.size === 0 && this.#spent < TURN_COST) {
      this.#charge(cost);
      return Promise.try(work);
    }
    return new Promise((resolve, reject) => {
      const run = (): void => void Promise.try(work).then(resolve, reject);
      this.#lineOf(address).waiting.push({ cost, run });
    });
  }

  #lineOf(address: string): Line {
    const known = this.#lines.get(address);
    if (known !== undefined) return known;
    const line = { waiting: [], start: Math.max(this.#clock, this.#next.get(address) ?? 0) };
    this.#lines.set(address, line);
    this.#next.delete(address);
    return line;
  }

  #charge(cost: number): void {
    this.#spent += cost;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#isScheduled = false;
    this.#spent = 0;
    while (this.#spent < TURN_COST && this.#lines.size > 0) this.#runNext();
  }

  /** What the address was charged stays, so that one review at a time is not always the first. */
  #leave(address: string, { start }: Line): void {
    this.#lines.delete(address);
    this.#next.set(address, start);
    const isContended = this.#lines.size > 0;
    for (const [each, next] of this.#next) if (!isContended || next <= this.#clock) this.#next.delete(each);
  }

  #runNext(): void {
    const [address, line] = [...this.#lines].reduce((first, other) =>
      other[1].start < first[1].start ? other : first,
    );
    const next = line.waiting.shift();
    if (next === undefined) return;
    this.#clock = line.start;
    line.start += next.cost;
    if (line.waiting.length === 0) this.#leave(address, line);
    this.#charge(next.cost);
    next.run();
  }
}
