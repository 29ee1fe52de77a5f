import { differenceOfSets, EMPTY_SET, allResources, collectionOf, withResources } from './resource-set.ts';
import type { Collection, ResourceSet } from './resource-set.ts';
import type { Resource } from './resource.ts';
import { named } from './subscription.ts';
import type { Due } from './subscription.ts';
import type { PersistentMap } from './persistent-map.ts';

/** What one response carries. The same object stands for the same content, so that it is serialised once. */
export interface Content {
  readonly upserts: readonly Resource[];
  readonly removals: readonly string[];
}

/** One response on the way from one set to another, and the set that it leads to. */
export interface Step {
  readonly content: Content;
  readonly after: ResourceSet;
}

export interface Difference {
  readonly upserts: readonly Resource[];
  readonly removals: readonly string[];
  /** Every name and every collection (as it is subscribed to) that is not the same in both. */
  readonly touched: ReadonlySet<string>;
}

/** What a response says of explicit names, and which of them are still due after it. */
export interface Settled {
  readonly due: PersistentMap<Due>;
  readonly content: Content | undefined;
}

/**
 * The set that streams of one type are to be brought level with, and everything that was computed for those on
 * their way: streams that were sent the same are told the same, so that a thousand of them cost one difference
 * and one serialisation. What nobody is on the way from any more is forgotten.
 */
export class Target {
  readonly set: ResourceSet;
  /** Sets that were the target before, by version: what clients that come back may be level with. */
  readonly recent: ReadonlyMap<string, ResourceSet>;
  readonly #stepBytes: number;
  readonly #differences = new WeakMap<ResourceSet, Difference>();
  readonly #whole = new WeakMap<ResourceSet, Step>();
  readonly #additions = new WeakMap<ResourceSet, Step>();
  readonly #retaining = new WeakMap<ResourceSet, ResourceSet>();
  readonly #settled = new WeakMap<ResourceSet, Map<string, Settled>>();
  readonly #full = new WeakMap<ResourceSet, Content>();
  readonly #named = new Map<string, Collection>();
  #interned = new Map<string, Content>();
  #internedBytes = 0;

  /** `stepBytes`: how large a response may become before the rest goes into another one. */
  constructor(set: ResourceSet, stepBytes: number, recent: ReadonlyMap<string, ResourceSet> = new Map()) {
    this.set = set;
    this.recent = recent;
    this.#stepBytes = stepBytes;
  }

  get stepBytes(): number {
    return this.#stepBytes;
  }

  /** What a name or a collection stands for; of those that stand for nothing, clients could have us keep any number. */
  named(name: string): Collection {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const collection = named(this.set, name);
    if (collection.size > 0) this.#named.set(name, collection);
    return collection;
  }

  difference(from: ResourceSet): Difference {
    return memo(this.#differences, from, () => differenceBetween(from, this.set));
  }

  /** The next response for a wildcard that was sent `from`; undefined where nothing is left to say. */
  step(from: ResourceSet, additionsOnly: boolean): Step | undefined {
    if (from === this.set) return undefined;
    const difference = this.difference(from);
    const removals = additionsOnly ? [] : difference.removals;
    if (difference.upserts.length + removals.length === 0) return undefined;
    const steps = removals.length < difference.removals.length ? this.#additions : this.#whole;
    const known = steps.get(from);
    if (known !== undefined) return known;
    const planned = this.#plan(from, difference.upserts, removals);
    let before = from;
    for (const step of planned) {
      steps.set(before, step);
      before = step.after;
    }
    return planned[0];
  }

  /** The target, with what has to be removed on the way from `from` still in it. */
  retaining(from: ResourceSet): ResourceSet {
    return memo(this.#retaining, from, () => {
      const { upserts } = this.difference(from);
      return withResources(from, editsOf({ upserts, removals: [] }));
    });
  }

  /** All that is in a set that lies on the way, for types whose responses are always complete. */
  full(set: ResourceSet): Content {
    return memo(this.#full, set, () => ({ upserts: [...allResources(set)], removals: [] }));
  }

  /** What `compute` makes of the way from `from`, once for each key. */
  settled(from: ResourceSet, key: string, compute: () => Settled): Settled {
    const byKey = memo(this.#settled, from, () => new Map<string, Settled>());
    const known = byKey.get(key) ?? compute();
    byKey.set(key, known);
    return known;
  }

  /** The one object for this content. */
  intern(upserts: readonly Resource[], removals: readonly string[]): Content {
    const key = keyOf(upserts, removals);
    const known = this.#interned.get(key);
    if (known !== undefined) return known;
    const content = { upserts, removals };
    this.#internedBytes += sizeOf(upserts) + 3 * key.length;
    if (this.#internedBytes > INTERNED_BYTES) {
      this.#interned = new Map();
      this.#internedBytes = 0;
    }
    this.#interned.set(key, content);
    return content;
  }

  #plan(from: ResourceSet, upserts: readonly Resource[], removals: readonly string[]): Step[] {
    const contents = split(upserts, removals, this.#stepBytes);
    const complete = removals.length === this.difference(from).removals.length;
    let before = from;
    return contents.map((content, at) => {
      const isLast = at === contents.length - 1;
      const after = isLast && complete ? this.set : withResources(before, editsOf(content));
      before = after;
      return { content, after };
    });
  }
}

/** Beyond this much content of explicit names in one target the cache starts afresh. */
const INTERNED_BYTES = 32 << 20;

/** Beside its content a resource costs a response at most its tag and length. */
export function sizeOf(resources: readonly Resource[]): number {
  return resources.reduce((sum, resource) => sum + resource.deltaEntry.length, 0);
}

function differenceBetween(from: ResourceSet, to: ResourceSet): Difference {
  if (from === EMPTY_SET) return differenceFromNothing(to);
  const upserts: Resource[] = [];
  const removals: string[] = [];
  const touched = new Set<string>();
  differenceOfSets(from, to, (name, _, after) => {
    if (after === undefined) removals.push(name);
    else upserts.push(after);
    touched.add(name).add(`${collectionOf(name)}/*`);
  });
  return { upserts, removals, touched };
}

function differenceFromNothing(to: ResourceSet): Difference {
  const upserts = [...allResources(to)];
  const touched = new Set<string>();
  for (const { name } of upserts) touched.add(name).add(`${collectionOf(name)}/*`);
  return { upserts, removals: [], touched };
}

function split(upserts: readonly Resource[], removals: readonly string[], limit: number): Content[] {
  const contents: { upserts: Resource[]; removals: string[] }[] = [];
  let room = 0;
  let content = { upserts: [] as Resource[], removals: [] as string[] };
  const takeRoom = (bytes: number): void => {
    if (bytes > room) {
      content = { upserts: [], removals: [] };
      contents.push(content);
      room = limit;
    }
    room -= bytes;
  };
  for (const resource of upserts) {
    takeRoom(resource.deltaEntry.length);
    content.upserts.push(resource);
  }
  for (const name of removals) {
    takeRoom(3 * name.length);
    content.removals.push(name);
  }
  return contents;
}

function editsOf({ upserts, removals }: Content): [string, Resource | undefined][] {
  return [
    ...upserts.map((resource): [string, Resource] => [resource.name, resource]),
    ...removals.map((name): [string, undefined] => [name, undefined]),
  ];
}

function keyOf(upserts: readonly Resource[], removals: readonly string[]): string {
  const versions = upserts.map(({ version }) => version).join('');
  return `${upserts.length} ${versions}${keyOfNames(upserts.map(({ name }) => name))}${keyOfNames(removals)}`;
}

/** A string for these names and no others, whatever is in them: clients make up names, separators included. */
export function keyOfNames(names: readonly string[]): string {
  let key = '';
  for (const name of names) key += `${name.length}:${name}`;
  return key;
}

/** The value computed for this object before, or now. */
export function memo<K extends object, V>(cache: WeakMap<K, V>, key: K, compute: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const value = compute();
  cache.set(key, value);
  return value;
}
