import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

const INTERVAL_MS = 20;
/** Generous, since tests share two cores with each other; below ava's own limit, which names no condition. */
const DEADLINE_MS = 60_000;

/**
 * Resolves with the promise's value. Rejects after `withinMs` with what was awaited.
 *
 * @param what names what comes, for the failure: "the answer of the second server".
 */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  { withinMs = DEADLINE_MS }: { readonly withinMs?: number } = {},
): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    expired.reject(new Error(`${what}: not within ${withinMs / 1000} s`));
  }, withinMs).unref();
  try {
    return await Promise.race([promise, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Polls `ask` until its answer satisfies, and resolves with that answer. Rejects after `withinMs` with what was
 * awaited and the last answer; an error of `ask` itself is passed on at once.
 *
 * @param what names the condition as a noun or clause, for the failure: "all 3 streams open".
 * @param options.everyMs the pause between two answers, for an `ask` that is expensive.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  satisfies: (answer: T) => boolean,
  {
    withinMs = DEADLINE_MS,
    everyMs = INTERVAL_MS,
  }: { readonly withinMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const deadline = AbortSignal.timeout(withinMs);
  const expired = new Promise<'expired'>((resolve) => {
    deadline.addEventListener('abort', () => resolve('expired'), { once: true });
  });
  let last: { readonly value: T } | undefined;
  for (;;) {
    const answer = await Promise.race([Promise.resolve(ask()).then((value) => ({ value })), expired]);
    if (answer !== 'expired') {
      if (satisfies(answer.value)) return answer.value;
      last = answer;
    }
    if (answer === 'expired' || deadline.aborted) {
      const shown =
        last === undefined ? 'there was no answer yet' : `the last answer was ${show(last.value)}`;
      throw new Error(`${what}: not within ${withinMs / 1000} s; ${shown}`);
    }
    await pause(everyMs);
  }
}

function show(answer: unknown): string {
  return inspect(answer, { depth: 4, breakLength: 120, maxStringLength: 2000 });
}
