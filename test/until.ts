import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

const INTERVAL_MS = 20;
/** Generous, since tests share two cores with each other; below ava's own limit, which names no condition. */
const DEADLINE_MS = 60_000;

/**
 * Polls `ask` until its answer satisfies, and resolves with that answer. Rejects after `withinMs` with what was
 * awaited and the last answer; an error of `ask` itself is passed on at once.
 *
 * @param what names the condition as a noun or clause, for the failure: "all 3 streams open".
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  satisfies: (answer: T) => boolean,
  { withinMs = DEADLINE_MS }: { readonly withinMs?: number } = {},
): Promise<T> {
  const deadline = AbortSignal.timeout(withinMs);
  const expired = new Promise<'expired'>((resolve) => {
    deadline.addEventListener('abort', () => resolve('expired'), { once: true });
  });
  let last = 'no answer yet';
  for (;;) {
    const answer = await Promise.race([Promise.resolve(ask()).then((value) => ({ value })), expired]);
    if (answer !== 'expired') {
      if (satisfies(answer.value)) return answer.value;
      last = inspect(answer.value, { depth: 4, breakLength: 120, maxStringLength: 2000 });
    }
    if (answer === 'expired' || deadline.aborted) {
      throw new Error(`${what}: not within ${withinMs / 1000} s; the last answer was ${last}`);
    }
    await pause(INTERVAL_MS);
  }
}
