import { until as untilWithin } from '../../until.ts';

/** Pods, nodes and images take their time. */
const WITHIN_MS = 300_000;

/** As everywhere, with the patience that a cluster needs. */
export function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  satisfies: (answer: T) => boolean,
): Promise<T> {
  return untilWithin(what, ask, satisfies, { withinMs: WITHIN_MS });
}
