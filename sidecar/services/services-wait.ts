import type { Schedule } from './interest.ts';

/** Whoever can send a message can wait here, and each who does takes memory: more go without. */
const MOST_WAITING = 10_000;

/**
 * The wait for word of which Services there are: one for all who need that, whatever names they ask for, because
 * anybody can invent names.
 */
export class ServicesWait {
  readonly #schedule: Schedule;
  readonly #limitMs: number;
  /** While somebody waits. */
  #over: PromiseWithResolvers<void> | undefined;
  #cancel: (() => void) | undefined;
  #waiting = 0;
  /** Nobody answers who could tell, or it has taken too long. */
  #isInVain = false;

  constructor(schedule: Schedule, limitMs: number) {
    this.#schedule = schedule;
    this.#limitMs = limitMs;
  }

  /** Resolves, never rejects, when the wait has ended; at once while waiting is in vain. */
  async join(): Promise<void> {
    if (this.#isInVain || this.#waiting >= MOST_WAITING) return;
    this.#over ??= this.#start();
    this.#waiting++;
    await this.#over.promise;
    this.#waiting--;
  }

  end(): void {
    this.#cancel?.();
    this.#over?.resolve();
    this.#over = undefined;
  }

  /** While the source is known not to answer, nobody waits for it. */
  sourceAnswers(answers: boolean): void {
    this.#isInVain = !answers;
    if (!answers) this.end();
  }

  #start(): PromiseWithResolvers<void> {
    this.#cancel = this.#schedule(this.#limitMs, () => this.sourceAnswers(false));
    return Promise.withResolvers();
  }
}
