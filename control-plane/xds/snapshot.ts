import { createResource } from './resource.ts';
import type { Resource } from './resource.ts';
import { EMPTY_SET, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';

export { createResource };
export type { Resource, ResourceSet };

/** All resources at one moment, by type URL. Never edited: a change makes another one. */
export interface Snapshot {
  readonly types: ReadonlyMap<string, ResourceSet>;
  /** More may exist than this: clients are not to be told that anything does not. */
  readonly isPartial?: boolean;
}

export interface Changes {
  readonly upserts: readonly Resource[];
  readonly removals: readonly { readonly typeUrl: string; readonly name: string }[];
}

export const EMPTY_SNAPSHOT: Snapshot = { types: new Map() };

/** The resources of one type; of a type that nobody has put anything into, none. */
export function resourcesOf(snapshot: Snapshot, typeUrl: string): ResourceSet {
  return snapshot.types.get(typeUrl) ?? EMPTY_SET;
}

/**
 * The snapshot with these changes; the same object where they change nothing, so that a no-op is seen by
 * identity. A name that is both upserted and removed is removed; of two upserts of one name the last counts.
 */
export function withChanges(snapshot: Snapshot, changes: Changes): Snapshot {
  const byType = new Map<string, Map<string, Resource | undefined>>();
  const changesOf = (typeUrl: string): Map<string, Resource | undefined> => {
    const known = byType.get(typeUrl) ?? new Map<string, Resource | undefined>();
    byType.set(typeUrl, known);
    return known;
  };
  for (const resource of changes.upserts) changesOf(resource.typeUrl).set(resource.name, resource);
  for (const { typeUrl, name } of changes.removals) changesOf(typeUrl).set(name, undefined);

  const types = new Map(snapshot.types);
  let changed = false;
  for (const [typeUrl, edits] of byType) {
    const before = resourcesOf(snapshot, typeUrl);
    const after = withResources(before, edits);
    if (after === before) continue;
    changed = true;
    types.set(typeUrl, after);
  }
  return changed ? { ...snapshot, types } : snapshot;
}

export type SnapshotListener = (previous: Snapshot, next: Snapshot) => void;

/** The one place that says which snapshot is the current one. */
export class SnapshotCell {
  #current: Snapshot;
  readonly #listeners = new Set<SnapshotListener>();

  constructor(initial: Snapshot = EMPTY_SNAPSHOT) {
    this.#current = initial;
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** Tells all subscribers before it returns; silent when it is the current one already. */
  replace(next: Snapshot): void {
    const previous = this.#current;
    if (next === previous) return;
    this.#current = next;
    for (const listener of this.#listeners) listener(previous, next);
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: SnapshotListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
