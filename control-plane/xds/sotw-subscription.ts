import { answerOwed } from './delta-subscription.ts';
import type { Advance } from './delta-subscription.ts';
import { difference } from './persistent-map.ts';
import type { ResourceSet } from './resource-set.ts';
import type { Resource } from './resource.ts';
import { answeredBy, changedNames, settleNames } from './settle.ts';
import { named, NO_SUBSCRIPTION, subscribe, told, unsubscribe, WILDCARD } from './subscription.ts';
import type { Subscription } from './subscription.ts';
import type { Target } from './target.ts';

/** How the resources of one type are told on a state-of-the-world stream. */
export interface SotwMode {
  /**
   * Each response holds all that is subscribed, and what is missing is gone. Where this is not so, a response
   * holds what changed, and a removal cannot be told.
   */
  readonly fullState: boolean;
  readonly additionsOnly: boolean;
}

/**
 * Applies a request, whose names are all that the client wants from now on. A stale one must not get here: the
 * client says it again in answer to the response that crossed it.
 */
export function changeSotw(before: Subscription | undefined, names: readonly string[]): Subscription {
  const subscription = before ?? NO_SUBSCRIPTION;
  const wanted = new Set(names);
  const isLegacyWildcard = wanted.size === 0 && !subscription.named;
  const wildcard = wanted.delete(WILDCARD) || isLegacyWildcard;
  const gone = [...subscription.names.keys()].filter((name) => !wanted.has(name));
  const added = [...wanted].filter((name) => !subscription.names.has(name));
  const changed = subscribe(unsubscribe(subscription, gone), added);
  const hasNamed = changed.named || names.length > 0;
  if (wildcard === changed.wildcard && hasNamed === changed.named) return changed;
  return switchWildcard({ ...changed, named: hasNamed }, wildcard);
}

/** What a stream is to be sent next to come level with the target. */
export function nextSotw(subscription: Subscription, target: Target, mode: SotwMode): Advance {
  const { advance, complete } = mode.fullState
    ? nextFullState(subscription, target, mode.additionsOnly)
    : nextChanges(subscription, target);
  return complete ? answerOwed(advance, target) : advance;
}

interface Progress {
  readonly advance: Advance;
  readonly complete: boolean;
}

function nextChanges(subscription: Subscription, target: Target): Progress {
  const step = subscription.wildcard ? target.step(subscription.level, true) : undefined;
  if (step !== undefined) {
    const due = answeredBy(subscription, step.after);
    const next = { ...subscription, level: step.after, due, owed: false };
    return { advance: { subscription: next, content: step.content }, complete: false };
  }
  const { due, content } = settleNames(subscription, target, 'never');
  return { advance: { subscription: { ...subscription, level: target.set, due }, content }, complete: true };
}

function nextFullState(subscription: Subscription, target: Target, additionsOnly: boolean): Progress {
  if (subscription.wildcard) return nextFullWildcard(subscription, target, additionsOnly);
  const changed = changedNames(subscription, target);
  const due = additionsOnly ? retained(subscription, changed, target.set) : NO_SUBSCRIPTION.due;
  const next = { ...subscription, level: target.set, due };
  const isChanged = additionsOnly
    ? changed.some((name) => isAddedTo(subscription, name, target.set))
    : changed.length > 0;
  if (!isChanged) return { advance: { subscription: next, content: undefined }, complete: true };
  const upserts = new Map<string, Resource>();
  for (const name of subscription.names.keys()) {
    for (const resource of told(next, name).values()) upserts.set(resource.name, resource);
  }
  const content = target.intern([...upserts.values()], []);
  return { advance: { subscription: next, content }, complete: true };
}

/** Of names from which something is to be removed: what they stand for, with that still in it. */
function retained(
  subscription: Subscription,
  names: readonly string[],
  set: ResourceSet,
): Subscription['due'] {
  return NO_SUBSCRIPTION.due.edit((draft) => {
    for (const name of names) {
      const now = named(set, name);
      const all = told(subscription, name).edit((collection) => {
        for (const resource of now.values()) collection.set(resource.name, resource);
      });
      if (all.size > now.size) draft.set(name, { told: all, answer: false });
    }
  });
}

/** Is there more to say of this name than what is to be removed? */
function isAddedTo(subscription: Subscription, name: string, set: ResourceSet): boolean {
  if (subscription.due.get(name)?.answer === true) return true;
  let isAdded = false;
  difference(told(subscription, name), named(set, name), (_, was, is) => {
    isAdded ||= is !== undefined && was?.version !== is.version;
  });
  return isAdded;
}

function nextFullWildcard(subscription: Subscription, target: Target, additionsOnly: boolean): Progress {
  const { level, owed } = subscription;
  const { upserts, removals } = target.difference(level);
  const removalsWait = additionsOnly && removals.length > 0;
  const after = removalsWait ? target.retaining(level) : target.set;
  const isChanged = removalsWait ? upserts.length > 0 : upserts.length + removals.length > 0;
  const isAnswer = owed || subscription.due.size > 0;
  const next = { ...subscription, level: after, due: NO_SUBSCRIPTION.due, owed: false };
  const content = isChanged || isAnswer ? target.full(after) : undefined;
  return { advance: { subscription: next, content }, complete: false };
}

/** Whoever starts or ends a wildcard is told anew what it is subscribed to then. */
function switchWildcard(subscription: Subscription, wildcard: boolean): Subscription {
  if (wildcard === subscription.wildcard) return subscription;
  const { names, nameLength } = subscription;
  const fresh = subscribe({ ...NO_SUBSCRIPTION, wildcard, named: subscription.named }, [...names.keys()]);
  return { ...fresh, named: subscription.named, nameLength };
}
