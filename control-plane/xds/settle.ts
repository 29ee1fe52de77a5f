import { difference } from './persistent-map.ts';
import { findResource } from './resource-set.ts';
import type { Collection, ResourceSet } from './resource-set.ts';
import { claimedResource, UNKNOWN_VERSION } from './resource.ts';
import type { Resource } from './resource.ts';
import { named } from './subscription.ts';
import type { Due, Subscription } from './subscription.ts';
import { keyOfNames } from './target.ts';
import type { Content, Settled, Target } from './target.ts';

/** What is to become of a removal: told now, told in a later response, or not told in this protocol. */
export type Removals = 'send' | 'later' | 'never';

/**
 * Answers the names of a subscription that are due and, off the wildcard, those that changed: as many as fit
 * into one response. The rest stays due.
 */
export function settleNames(subscription: Subscription, target: Target, removals: Removals): Settled {
  const { wildcard, due, level } = subscription;
  const changed = wildcard ? [] : touchedNames(subscription, target);
  if (due.size + changed.length === 0) return { due, content: undefined };
  // With nothing due, streams on the same level whose names are touched alike are told the same.
  if (due.size > 0 || changed.length > SHARED_NAMES) return fill(subscription, changed, { target, removals });
  return target.settled(level, `${removals} ${keyOfNames(changed)}`, () =>
    fill(subscription, changed, { target, removals }),
  );
}

const SHARED_NAMES = 8;

/** Looks at no more names than the response has room for: those that changed become due, those that are due stay so. */
function fill(
  { due, level }: Subscription,
  changed: readonly string[],
  { target, removals }: { readonly target: Target; readonly removals: Removals },
): Settled {
  const response = new Filling(target.stepBytes, removals);
  const settle = (name: string, before: Due): Due | undefined =>
    response.isFull ? before : response.settle(name, before, target.named(name));
  const isFull = (): boolean => response.isFull;
  const unsettled = due.revise(settle, isFull).edit((draft) => {
    for (const name of changed) {
      if (due.has(name)) continue;
      const after = settle(name, { told: named(level, name), answer: false });
      if (after !== undefined) draft.set(name, after);
    }
  });
  return { due: unsettled, content: response.content(target) };
}

/** The names that have to be looked at: those that are due, and those that changed. */
export function changedNames(subscription: Subscription, target: Target): string[] {
  const { due } = subscription;
  const touched = touchedNames(subscription, target);
  return due.size === 0 ? touched : [...new Set([...due.keys(), ...touched])];
}

/** The names that changed: found by walking over the change or over the names, whichever is less. */
function touchedNames({ names, level }: Subscription, target: Target): string[] {
  if (level === target.set) return [];
  const { touched } = target.difference(level);
  return touched.size <= names.size
    ? [...touched].filter((name) => names.has(name))
    : [...names.keys()].filter((name) => touched.has(name));
}

/** What is still due once a wildcard has told what leads from the level to `after`. */
export function answeredBy({ level, due }: Subscription, after: ResourceSet): Subscription['due'] {
  if (due.size === 0) return due;
  return due.edit((draft) => {
    for (const name of due.keys()) {
      const isNew = named(level, name).size === 0 && named(after, name).size > 0;
      const was = findResource(level, name)?.version;
      const is = findResource(after, name)?.version;
      if (isNew || (is !== undefined && was !== is)) draft.delete(name);
    }
  });
}

/** One response that is being filled. */
class Filling {
  readonly #upserts = new Map<string, Resource>();
  readonly #removals = new Set<string>();
  readonly #removalMode: Removals;
  #room: number;
  #isFull = false;

  constructor(room: number, removals: Removals) {
    this.#room = room;
    this.#removalMode = removals;
  }

  /** Something did not fit any more. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Returns what is still due for this name. */
  settle(name: string, before: Due, now: Collection): Due | undefined {
    const { due, gone } = compare(name, before, now);
    if (due.length + gone.length === 0) return undefined;
    const sent = due.filter((resource) => this.#add(resource));
    const removed = gone.length === 0 || this.#remove(gone);
    if (sent.length === due.length && removed) return undefined;
    if (now.size === 0) return before;
    const told = toldAfter(before, now, { sent, removed });
    // Who was told nothing yet is still owed an answer, also if there is nothing left to tell by then.
    return { told, answer: before.answer && told.size === 0 };
  }

  content(target: Target): Content | undefined {
    if (this.#upserts.size + this.#removals.size === 0) return undefined;
    return target.intern([...this.#upserts.values()], [...this.#removals]);
  }

  #add(resource: Resource): boolean {
    if (this.#upserts.has(resource.name)) return true;
    if (!this.#takeRoom(resource.deltaEntry.length)) return false;
    this.#upserts.set(resource.name, resource);
    return true;
  }

  #remove(names: readonly string[]): boolean {
    if (this.#removalMode !== 'send') return this.#removalMode === 'never';
    const bytes = names.reduce((sum, name) => sum + 3 * name.length, 0);
    if (!this.#takeRoom(bytes)) return false;
    for (const name of names) this.#removals.add(name);
    return true;
  }

  /** What comes first is taken however large it is. */
  #takeRoom(bytes: number): boolean {
    const isFirst = this.#upserts.size + this.#removals.size === 0;
    if (!isFirst && bytes > this.#room) this.#isFull = true;
    else this.#room -= bytes;
    return !this.#isFull;
  }
}

/** What a name that was told something is to be told now; a collection that is empty goes by its own name. */
function compare(
  name: string,
  { told, answer }: Due,
  now: Collection,
): { readonly due: Resource[]; readonly gone: string[] } {
  if (told.size === 0) return { due: [...now.values()], gone: answer && now.size === 0 ? [name] : [] };
  const due: Resource[] = answer ? [...now.values()] : [];
  const gone: string[] = [];
  difference(told, now, (at, was, is) => {
    if (is === undefined) gone.push(at);
    else if (!answer && was?.version !== is.version) due.push(is);
  });
  if (now.size === 0 && !gone.includes(name)) gone.push(name);
  return { due, gone };
}

/** Of a name that could not be told everything: what it was told, and of what it is to be told again, just that. */
function toldAfter(
  { told, answer }: Due,
  now: Collection,
  { sent, removed }: { readonly sent: readonly Resource[]; readonly removed: boolean },
): Collection {
  return told.edit((draft) => {
    for (const name of told.keys()) {
      if (!now.has(name) && removed) draft.delete(name);
      if (now.has(name) && answer) draft.set(name, claimedResource(name, UNKNOWN_VERSION));
    }
    for (const resource of sent) draft.set(resource.name, resource);
  });
}
