/** From so many at a time on, putting writes off until the end of the turn pays for itself. */
const WORTHWHILE = 4;
/** While it does not pay, every so many writes it is tried. */
const TRY_EVERY = 64;

/** Who has put something off. */
export interface Deferred {
  flush(): void;
}

/**
 * Puts small writes off until the event loop has read from all connections that had something to read. The
 * processes behind them are then woken once for many messages instead of once for each, which with many busy
 * connections saves a sixth of the work; with few it would only add to their latency, so it watches how many
 * come together.
 */
export class Turn {
  #deferred: Deferred[] = [];
  #isWorthwhile = false;
  #untried = 0;

  /** False: do it now. */
  defer(deferred: Deferred): boolean {
    const isUnderWay = this.#deferred.length > 0;
    if (!isUnderWay && !this.#isWorthwhile && ++this.#untried < TRY_EVERY) return false;
    this.#deferred.push(deferred);
    if (!isUnderWay) setImmediate(end, this);
    return true;
  }

  end(): void {
    this.#untried = 0;
    const due = this.#deferred;
    this.#deferred = [];
    this.#isWorthwhile = due.length >= WORTHWHILE;
    for (const deferred of due) deferred.flush();
  }
}

function end(turn: Turn): void {
  turn.end();
}
