/** Together about a millisecond's work. */
const MOST_LINES = 32;
const MOST_MS = 1;

/** Who has lines that wait to be taken. */
export interface LineTaker {
  /** Takes one line, and says whether it did: if not there is none, or none that may be taken now. */
  takeLine(): boolean;
}

/**
 * Shares one turn of the event loop among all who send lines: so many are taken, one from each in its turn, and the
 * others wait for the next turn of the loop. However much is sent, everything else that the process does goes on.
 */
export class Round {
  readonly #waiting = new Set<LineTaker>();
  #linesLeft = MOST_LINES;
  #sinceMs = 0;
  /** Until the turn is over. */
  #isUnderWay = false;

  /** Takes the lines of one more. False: not all of them yet, and whoever sends them is not to be read from. */
  enter(taker: LineTaker): boolean {
    this.#waiting.add(taker);
    this.#begin();
    this.#serve();
    return !this.#waiting.has(taker);
  }

  #begin(): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    this.#linesLeft = MOST_LINES;
    this.#sinceMs = performance.now();
    setImmediate(end, this);
  }

  end(): void {
    this.#isUnderWay = false;
    if (this.#waiting.size === 0) return;
    this.#begin();
    this.#serve();
  }

  #serve(): void {
    // Whoever is added again comes last.
    for (const taker of this.#waiting) {
      if (this.#isOver()) return;
      this.#waiting.delete(taker);
      if (!taker.takeLine()) continue;
      this.#linesLeft--;
      this.#waiting.add(taker);
    }
  }

  #isOver(): boolean {
    return this.#linesLeft === 0 || performance.now() - this.#sinceMs >= MOST_MS;
  }
}

function end(round: Round): void {
  round.end();
}
