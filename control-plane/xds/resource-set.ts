import { difference, emptyMap } from './persistent-map.ts';
import type { PersistentMap } from './persistent-map.ts';
import type { Resource } from './resource.ts';

/** The resources of one collection, by their full names. */
export type Collection = PersistentMap<Resource>;

/**
 * All resources of one type at one moment. Kept as collection → name → resource, where the collection of
 * `a/b/c` is `a/b` (and that of a name without a slash is the empty one), so that what a collection holds and
 * what changed in it is found without looking at anything else.
 */
export interface ResourceSet {
  readonly collections: PersistentMap<Collection>;
  readonly size: number;
  /** Sum of all versions modulo 2^64: equal for equal sets, in whatever order they came about. */
  readonly digest: bigint;
  /** The digest as 16 hexadecimal digits. */
  readonly version: string;
}

const NO_RESOURCES: Collection = emptyMap();

export const EMPTY_SET: ResourceSet = setOf(emptyMap(), 0, 0n);

export function findResource(set: ResourceSet, name: string): Resource | undefined {
  return set.collections.get(collectionOf(name))?.get(name);
}

export function findCollection(set: ResourceSet, collection: string): Collection {
  return set.collections.get(collection) ?? NO_RESOURCES;
}

export function* allResources(set: ResourceSet): Generator<Resource> {
  for (const collection of set.collections.values()) yield* collection.values();
}

/** Calls `visit` once for each name at which the two sets hold different versions. */
export function differenceOfSets(
  before: ResourceSet,
  after: ResourceSet,
  visit: (name: string, before: Resource | undefined, after: Resource | undefined) => void,
): void {
  const visitChanged = (name: string, was: Resource | undefined, is: Resource | undefined): void => {
    if (was?.version !== is?.version) visit(name, was, is);
  };
  difference(before.collections, after.collections, (_, was, is) => {
    difference(was ?? NO_RESOURCES, is ?? NO_RESOURCES, visitChanged);
  });
}

/** The set with each of these names set, or removed where the value is undefined; the same set if nothing changes. */
export function withResources(
  set: ResourceSet,
  edits: Iterable<readonly [string, Resource | undefined]>,
): ResourceSet {
  let { size, digest } = set;
  const edited = new Map<string, Map<string, Resource | undefined>>();
  for (const [name, resource] of edits) {
    const before = findResource(set, name);
    if (before?.version === resource?.version) continue;
    digest += valueOf(resource) - valueOf(before);
    size += Number(resource !== undefined) - Number(before !== undefined);
    const key = collectionOf(name);
    const inCollection = edited.get(key) ?? new Map<string, Resource | undefined>();
    edited.set(key, inCollection.set(name, resource));
  }
  if (edited.size === 0) return set;
  const collections = set.collections.edit((draft) => {
    for (const [key, names] of edited) {
      const next = editCollection(draft.get(key) ?? NO_RESOURCES, names);
      if (next.size === 0) draft.delete(key);
      else draft.set(key, next);
    }
  });
  return setOf(collections, size, BigInt.asUintN(64, digest));
}

/** A set of these resources, by name. The collections that it holds just as `other` does are the very same. */
export function setLike(other: ResourceSet, resources: ReadonlyMap<string, Resource>): ResourceSet {
  const groups = new Map<string, Resource[]>();
  let digest = 0n;
  for (const resource of resources.values()) {
    digest += valueOf(resource);
    const key = collectionOf(resource.name);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [resource]);
    else group.push(resource);
  }
  const collections = EMPTY_SET.collections.edit((draft) => {
    for (const [key, group] of groups) draft.set(key, collectionLike(findCollection(other, key), group));
  });
  return setOf(collections, resources.size, BigInt.asUintN(64, digest));
}

function collectionLike(other: Collection, resources: readonly Resource[]): Collection {
  const isSame =
    resources.length === other.size && resources.every((resource) => other.get(resource.name) === resource);
  if (isSame) return other;
  return NO_RESOURCES.edit((draft) => {
    for (const resource of resources) draft.set(resource.name, resource);
  });
}

/** `a/b` for `a/b/c`; a collection is subscribed to as `a/b/*`, whose collection this is, too. */
export function collectionOf(name: string): string {
  const slash = name.lastIndexOf('/');
  return slash < 0 ? '' : name.slice(0, slash);
}

/** Is this the name of a collection, and not of one resource? */
export function isCollection(name: string): boolean {
  return name.endsWith('/*');
}

function editCollection(
  collection: Collection,
  edits: ReadonlyMap<string, Resource | undefined>,
): Collection {
  return collection.edit((draft) => {
    for (const [name, resource] of edits) {
      if (resource === undefined) draft.delete(name);
      else draft.set(name, resource);
    }
  });
}

function valueOf(resource: Resource | undefined): bigint {
  return resource === undefined ? 0n : BigInt(`0x${resource.version}`);
}

function setOf(collections: PersistentMap<Collection>, size: number, digest: bigint): ResourceSet {
  return { collections, size, digest, version: digest.toString(16).padStart(16, '0') };
}
