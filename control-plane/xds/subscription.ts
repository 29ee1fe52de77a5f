import { emptyMap } from './persistent-map.ts';
import type { PersistentMap } from './persistent-map.ts';
import {
  allResources,
  collectionOf,
  EMPTY_SET,
  findCollection,
  findResource,
  isCollection,
} from './resource-set.ts';
import type { Collection, ResourceSet } from './resource-set.ts';
import type { Resource } from './resource.ts';

/**
 * What one stream asked for of one resource type, and what it was sent. What it was sent is told by reference
 * to the immutable set that it is level with: streams at the same point share that set, everything computed
 * from it, and its memory.
 */
export interface Subscription {
  readonly wildcard: boolean;
  /** Names and collections that were asked for explicitly. */
  readonly names: PersistentMap<true>;
  /** UTF-8 length of all names together, roughly: their UTF-16 length. */
  readonly nameLength: number;
  /** A stream on the wildcard was sent all of this set, another one what its names stand for in it. */
  readonly level: ResourceSet;
  /** Names for which the level does not hold: they were told something else, or are owed an answer. */
  readonly due: PersistentMap<Due>;
  /** An answer is owed even if it has nothing in it. */
  readonly owed: boolean;
  /** The wildcard was asked for again: everything is to be sent again, once the level is reached. */
  readonly again: boolean;
  /** Was ever a name asked for? From then on an empty list of names means none, and no longer all. */
  readonly named: boolean;
}

export interface Due {
  readonly told: Collection;
  /** Send all that the name stands for, told or not, or say that it stands for nothing. */
  readonly answer: boolean;
}

export const WILDCARD = '*';

export const NO_SUBSCRIPTION: Subscription = {
  wildcard: false,
  names: emptyMap(),
  nameLength: 0,
  level: EMPTY_SET,
  due: emptyMap(),
  owed: true,
  again: false,
  named: false,
};

export const NOTHING: Collection = emptyMap();
export const UNANSWERED: Due = { told: NOTHING, answer: true };

/** What a name or a collection stands for in a set. */
export function named(set: ResourceSet, name: string): Collection {
  if (isCollection(name)) return findCollection(set, collectionOf(name));
  const resource = findResource(set, name);
  return resource === undefined ? NOTHING : NOTHING.set(name, resource);
}

/** What a subscribed name was told last. */
export function told(subscription: Subscription, name: string): Collection {
  return subscription.due.get(name)?.told ?? named(subscription.level, name);
}

/** The resource of that name as the client was sent it last, through whatever it asked for. */
export function held(subscription: Subscription, name: string): Resource | undefined {
  const { wildcard, names, level } = subscription;
  if (names.has(name)) {
    const resource = told(subscription, name).get(name);
    if (resource !== undefined) return resource;
  }
  const collection = `${collectionOf(name)}/${WILDCARD}`;
  if (names.has(collection)) {
    const resource = told(subscription, collection).get(name);
    if (resource !== undefined) return resource;
  }
  return wildcard ? findResource(level, name) : undefined;
}

/** Adds names that are to be answered, those among them that are subscribed already included. */
export function subscribe(subscription: Subscription, names: readonly string[]): Subscription {
  if (names.length === 0) return subscription;
  let { nameLength } = subscription;
  const known = subscription.names.edit((draft) => {
    for (const name of names) {
      const { size } = draft;
      draft.set(name, true);
      if (draft.size > size) nameLength += name.length;
    }
  });
  const isFirst = subscription.names.size === 0;
  const due = subscription.due.edit((draft) => {
    for (const name of names) {
      const before = !isFirst && subscription.names.has(name) ? told(subscription, name) : NOTHING;
      draft.set(name, before === NOTHING ? UNANSWERED : { told: before, answer: true });
    }
  });
  return { ...subscription, names: known, nameLength, due, named: true };
}

/** Removes names; those that are not subscribed are ignored. */
export function unsubscribe(subscription: Subscription, names: readonly string[]): Subscription {
  const gone = names.filter((name) => subscription.names.has(name));
  if (gone.length === 0) return subscription;
  let { nameLength } = subscription;
  const known = subscription.names.edit((draft) => {
    for (const name of gone) {
      if (draft.get(name) !== undefined) nameLength -= name.length;
      draft.delete(name);
    }
  });
  const due = subscription.due.edit((draft) => {
    for (const name of gone) draft.delete(name);
  });
  return { ...subscription, names: known, nameLength, due };
}

/** All that the client was sent and holds, each resource once. */
export function* allHeld(subscription: Subscription): Generator<Resource> {
  if (subscription.wildcard) yield* allResources(subscription.level);
  const seen = new Set<string>();
  for (const name of subscription.names.keys()) {
    for (const resource of told(subscription, name).values()) {
      const covered = subscription.wildcard && findResource(subscription.level, resource.name) !== undefined;
      if (covered || seen.has(resource.name)) continue;
      seen.add(resource.name);
      yield resource;
    }
  }
}
