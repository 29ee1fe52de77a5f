import type { Logger } from '../../process/log.ts';

/** The wall clock and chance, as arguments. */
export interface ClockWorld {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly schedule: (delayMs: number, run: () => void) => () => void;
}

export interface ReconcilerOptions {
  /** Compares what is with what should be, does what is missing, and says in how many milliseconds to look again. */
  readonly reconcile: () => Promise<number>;
  /** For the log: what did not succeed. */
  readonly what: string;
  readonly logger: Logger;
  readonly world: ClockWorld;
}

const SHORTEST_MS = 250;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** Timers know no longer time than this, 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Runs one attempt at a time: when something happened, when the last one said so, and after a failure. However
 * often something happens, attempts keep a distance: whoever undoes what we do is not raced with.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  #cancel = (): void => {};
  #running: Promise<void> | undefined;
  #isWanted = false;
  #isClosed = false;
  #failures = 0;
  #problem: string | undefined;
  #startedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Why the last attempt failed. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves once no attempt is under way. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Something happened. */
  wake(): void {
    if (this.#isClosed) return;
    this.#isWanted = true;
    if (this.#running === undefined) this.#runAfter(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #runAfter(delayMs: number): void {
    this.#cancel();
    const { now, schedule } = this.#options.world;
    // Set back, the clock says that the last attempt is still to come.
    const distance = Math.min(SHORTEST_MS, this.#startedAt + SHORTEST_MS - now());
    const wait = Math.max(Math.min(delayMs, LONGEST_MS), distance);
    if (wait <= 0) this.#run();
    else this.#cancel = schedule(wait, () => this.#run());
  }

  #run(): void {
    this.#isWanted = false;
    this.#startedAt = this.#options.world.now();
    this.#running = this.#perform();
  }

  async #perform(): Promise<void> {
    const again = await this.#attempt();
    this.#running = undefined;
    if (!this.#isClosed) this.#runAfter(this.#isWanted ? 0 : again);
  }

  async #attempt(): Promise<number> {
    try {
      const again = await this.#options.reconcile();
      this.#failures = 0;
      this.#problem = undefined;
      return again;
    } catch (error) {
      return this.#failed(error as Error);
    }
  }

  #failed(error: Error): number {
    const { logger, what, world } = this.#options;
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    const retryMs = Math.round(longest * (1 + world.random()) * 0.5);
    // Said once however often it happens.
    const level = error.message === this.#problem ? 'debug' : 'warn';
    this.#problem = error.message;
    if (!this.#isClosed) logger[level](`${what} did not succeed and is tried again`, { error, retryMs });
    return retryMs;
  }
}
