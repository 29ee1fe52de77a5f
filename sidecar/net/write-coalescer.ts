/** Deferring writes pays for itself from so many in one turn of the event loop. */
const WORTHWHILE = 4;
/** While it does not pay, one in so many writes is deferred, to find out whether it would. */
const TRY_EVERY = 64;

/** A connection with a deferred write. */
export interface Deferred {
  flush(): void;
}

/**
 * Defers small writes until the event loop has read from every readable connection. The processes behind them are then
 * woken once for many messages, which saves a sixth of the work with many busy connections. With few it would only add
 * latency, so the coalescer counts how many writes come together.
 */
export class WriteCoalescer {
  #deferred: Deferred[] = [];
  #isWorthwhile = false;
  #untried = 0;

  /** False: write now. */
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

function end(coalescer: WriteCoalescer): void {
  coalescer.end();
}
