import type { FollowedState } from './source.ts';

/** A kind in which nothing happens is heard of every 90 s at the latest, when its watch is renewed. */
const STALE_MS = 120_000;

/** What is waited for, and why if that is known: one sentence for each kind that is not followed yet. */
export function obstaclesOf(states: readonly FollowedState[]): readonly string[] {
  const missing = states.filter(({ isSynced }) => !isSynced);
  const problems = missing.flatMap(({ problem }) => problem ?? []);
  const waited = missing.filter(({ problem }) => problem === undefined).map(({ kind }) => kind);
  return waited.length === 0 ? problems : [...problems, `waiting for the list of ${waited.join(', ')}`];
}

/** Of what is served, what may be out of date; undefined: nothing. */
export function staleSentence(states: readonly FollowedState[]): string | undefined {
  const stale = states.filter(({ problem, stalenessMs }) => problem !== undefined || stalenessMs > STALE_MS);
  if (stale.length === 0) return undefined;
  const ages = stale.map(({ kind, stalenessMs }) => `${kind} ${Math.round(stalenessMs / 1000)} s`);
  const problem = stale.find((state) => state.problem !== undefined)?.problem;
  const why = problem === undefined ? '' : `; this program ${problem}`;
  return `what is served may be out of date, last heard from the API server: ${ages.join(', ')} ago${why}`;
}
