import type { ExecutionContext } from 'ava';
import { within } from '../until.ts';

/** Far more than any test takes, also on a machine that is busy with other things; t.timeout() sets another. */
const TEST_MS = 180_000;
const TEARDOWN_MS = 60_000;

/** Of one test or hook, and of each of its teardowns. */
export class Deadline {
  readonly #title: string;
  readonly #expired = Promise.withResolvers<never>();
  #timer: NodeJS.Timeout | undefined;

  constructor(t: ExecutionContext) {
    this.#title = t.title;
    const timeout = Object.assign((ms: number) => this.#set(ms), { clear: () => clearTimeout(this.#timer) });
    const { teardown } = t;
    Object.assign(t, {
      timeout,
      teardown: (close: () => unknown) =>
        teardown(() =>
          within(`a teardown of “${t.title}”`, Promise.resolve(close()), { withinMs: TEARDOWN_MS }),
        ),
    });
  }

  async of(body: () => unknown): Promise<unknown> {
    this.#set(TEST_MS);
    try {
      return await Promise.race([body(), this.#expired.promise]);
    } finally {
      clearTimeout(this.#timer);
    }
  }

  #set(ms: number): void {
    clearTimeout(this.#timer);
    // Where nothing else is left to happen, ava says so at once.
    this.#timer = setTimeout(() => {
      this.#expired.reject(new Error(`“${this.#title}” did not end within ${ms / 1000} s`));
    }, ms).unref();
  }
}
