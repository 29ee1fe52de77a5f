import type { Schedule } from '../services/interest.ts';

/**
 * A server may split its first answer, and nothing in the protocol marks the end of it: all counts as told
 * once nothing more has come for a moment, and in a mesh that never rests after a longer one.
 */
const QUIET_MS = 100;
const AT_MOST_MS = 1000;

/** Decides when a first answer whose end is not marked is whole. */
export class Settling {
  readonly #schedule: Schedule;
  readonly #now: () => number;
  readonly #settled: () => void;
  #running: { readonly sinceMs: number; readonly cancel: () => void } | undefined;

  constructor({ schedule, now }: { schedule: Schedule; now: () => number }, settled: () => void) {
    this.#schedule = schedule;
    this.#now = now;
    this.#settled = settled;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Something came that may not have been all. */
  heard(): void {
    const sinceMs = this.#running?.sinceMs ?? this.#now();
    this.#running?.cancel();
    const delayMs = Math.max(0, Math.min(QUIET_MS, sinceMs + AT_MOST_MS - this.#now()));
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
