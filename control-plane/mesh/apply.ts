import { convert } from './conversion.ts';
import { Draft } from './draft.ts';
import type { Applied, MeshEvent, MeshState } from './state.ts';

/**
 * The state after the events, in their order. Every object is converted first, then all good ones enter; a bad
 * one rejects only itself and leaves the last good state of it standing. Costs what the events touch, not
 * what the mesh holds.
 */
export function apply(state: MeshState, events: readonly MeshEvent[]): Applied {
  const conversions = events.flatMap(convert);
  const draft = new Draft(state);
  for (const conversion of conversions) draft.enter(conversion);
  return draft.finish();
}
