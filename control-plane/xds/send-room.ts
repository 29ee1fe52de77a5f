import type { ByteBudget } from './byte-budget.ts';

/** A stream that waits until it can be written to. */
export interface Waiting {
  advance(): void;
}

/**
 * Bounds the responses that connections have not taken yet. A stream of a caller that has too many unsent waits,
 * without a response of its own, until some are taken. A caller that has none unsent is always sent one, so that
 * clients that do not read hold up nobody but each other.
 */
export class SendRoom {
  readonly #budget: ByteBudget;
  readonly #waiting = new Map<string, Set<Waiting>>();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  get unsent(): number {
    return this.#budget.total;
  }

  has(caller: string): boolean {
    return this.#budget.of(caller) === 0 || this.#budget.shortage(caller, 0) === undefined;
  }

  wait(caller: string, stream: Waiting): void {
    const streams = this.#waiting.get(caller) ?? new Set();
    this.#waiting.set(caller, streams.add(stream));
  }

  /** Does a stream wait because of what this caller has unsent? */
  isShort(caller: string): boolean {
    const { total, limits } = this.#budget;
    return this.#waiting.has(caller) || (this.#waiting.size > 0 && total > limits.total);
  }

  sending(caller: string, bytes: number): void {
    this.#budget.add(caller, bytes);
  }

  sent(caller: string, bytes: number): void {
    this.#budget.add(caller, -bytes);
    if (this.#waiting.has(caller)) setImmediate(() => this.#wake(caller));
  }

  leave(caller: string, stream: Waiting): void {
    const streams = this.#waiting.get(caller);
    streams?.delete(stream);
    if (streams?.size === 0) this.#waiting.delete(caller);
  }

  #wake(caller: string): void {
    const streams = this.#waiting.get(caller);
    if (streams === undefined) return;
    for (const stream of streams) {
      if (!this.has(caller)) return;
      this.leave(caller, stream);
      stream.advance();
    }
  }
}
