import type { Schedule } from '../services/interest.ts';

/** All counts as told once nothing more has come for so long, and in a mesh that never rests after a longer time. */
export interface Patience {
  readonly quietMs: number;
  readonly atMostMs: number;
}

/** A server may split its first answer, and nothing in the protocol marks the end of it: connections wait for it. */
export const FIRST_ANSWER: Patience = { quietMs: 100, atMostMs: 1_000 };
/**
 * On a stream that resumes, a server tells only what is different, which may be nothing at all; and it may split what it
 * tells of a collection. Nobody waits for the end of either: until then, what is missing is not taken for gone.
 */
export const DIFFERENCE: Patience = { quietMs: 5_000, atMostMs: 30_000 };

/** Decides when an answer whose end is not marked is whole. */
export class Settling {
  readonly #schedule: Schedule;
  readonly #now: () => number;
  readonly #patience: Patience;
  readonly #settled: () => void;
  #running: { readonly sinceMs: number; readonly cancel: () => void } | undefined;

  constructor(
    { schedule, now }: { schedule: Schedule; now: () => number },
    patience: Patience,
    settled: () => void,
  ) {
    this.#schedule = schedule;
    this.#now = now;
    this.#patience = patience;
    this.#settled = settled;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Something came that may not have been all. */
  heard(): void {
    const { quietMs, atMostMs } = this.#patience;
    const sinceMs = this.#running?.sinceMs ?? this.#now();
    this.#running?.cancel();
    const delayMs = Math.max(0, Math.min(quietMs, sinceMs + atMostMs - this.#now()));
    const cancel = this.#schedule(delayMs, () => {
      this.#running = undefined;
      this.#settled();
    });
    this.#running = { sinceMs, cancel };
  }

  /** It is known to be whole, or what was missing of it will never come. */
  cancel(): void {
    this.#running?.cancel();
    this.#running = undefined;
  }
}
