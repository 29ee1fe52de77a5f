/** Rendering takes one part in ten of the processor, however often it is asked for, or rests as long as it may. */
const REST_FACTOR = 9;
/** A scrape waits for as long at most, and Prometheus gives up after 10 s. */
const LONGEST_REST_MS = 2_000;

/**
 * One rendering for all that ask before it begins, so that a flood of requests costs no more than a few. What is
 * returned was never begun before it was asked for. After each rendering the next one is held back for some
 * multiple of the time that it took.
 */
export function shareRendering<T>(render: () => Promise<T> | T): () => Promise<T> {
  let next: Promise<T> | undefined;
  let rested: Promise<void> = Promise.resolve();

  const begin = async (): Promise<T> => {
    await rested;
    next = undefined;
    const rest = Promise.withResolvers<void>();
    rested = rest.promise;
    const begun = performance.now();
    try {
      return await render();
    } finally {
      const restMs = Math.min((performance.now() - begun) * REST_FACTOR, LONGEST_REST_MS);
      setTimeout(rest.resolve, restMs);
    }
  };
  return () => (next ??= begin());
}
