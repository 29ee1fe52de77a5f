import { until as untilWithin } from '../../until.ts';

/** Pods that start take minutes on a machine that is busy with other things. */
const WITHIN_MS = 240_000;
/** Each ask starts a kubectl as a rule, which takes a tenth of a second of CPU from the cluster that it asks. */
const EVERY_MS = 250;

/** `until` of test/until.ts with the limits of a cluster. */
export function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  satisfies: (answer: T) => boolean,
): Promise<T> {
  return untilWithin(what, ask, satisfies, { withinMs: WITHIN_MS, everyMs: EVERY_MS });
}
