import type { FollowedState } from './source.ts';

/** A kind in which nothing happens is heard of every 90 s at the latest, when its watch is renewed. */
const STALE_MS = 120_000;

/**
 * So long without a word, and what is served is not to be relied on any more: as long as sidecars believe what they
 * know when no control plane answers.
 */
const OUTAGE_MS = 300_000;

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

/** Why this replica cannot be relied on any more, as a clause; undefined: it can. */
export function outageClause(states: readonly FollowedState[]): string | undefined {
  const silent = states.filter(({ isSynced, stalenessMs }) => isSynced && stalenessMs > OUTAGE_MS);
  if (silent.length === 0) return undefined;
  const kinds = silent.map(({ kind, stalenessMs }) => `${kind} for ${Math.round(stalenessMs / 1000)} s`);
  const problem = silent.find((state) => state.problem !== undefined)?.problem;
  return `the API server was not heard of ${kinds.join(', ')}${problem === undefined ? '' : `; this program ${problem}`}`;
}
