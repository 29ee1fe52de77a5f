import { resourcesUnderWay } from './acknowledgements.ts';
import type { Pending } from './acknowledgements.ts';
import type { Claims } from './claims.ts';
import { allResources, collectionOf, EMPTY_SET, isCollection, withResources } from './resource-set.ts';
import type { Collection, ResourceSet } from './resource-set.ts';
import { claimedResource, UNKNOWN_VERSION } from './resource.ts';
import type { Resource } from './resource.ts';
import { answeredBy, settleNames } from './settle.ts';
import {
  allHeld,
  named,
  NO_SUBSCRIPTION,
  subscribe,
  UNANSWERED,
  unsubscribe,
  WILDCARD,
} from './subscription.ts';
import type { Subscription } from './subscription.ts';
import type { Content, Target } from './target.ts';

/** The part of a `DeltaDiscoveryRequest` that changes a subscription. */
export interface DeltaChange {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

/** What to send next, and what the subscription is once that is written. */
export interface Advance {
  readonly subscription: Subscription;
  readonly content: Content | undefined;
}

const EMPTY_CONTENT: Content = { upserts: [], removals: [] };

/**
 * The subscription that the first request of a stream for a type begins. A client that comes back says what
 * it holds (`initial_resource_versions`) and is told only what is different by now.
 */
export function beginDelta(change: DeltaChange, claims: Claims, target: Target): Subscription {
  const names = change.subscribe.filter((name) => name !== WILDCARD);
  const wildcard = names.length < change.subscribe.length || change.subscribe.length === 0;
  const fresh = { ...subscribe(NO_SUBSCRIPTION, names), wildcard };
  if (claims.count === 0) return fresh;
  const claimed = claims.resolve(target);
  return wildcard ? resumeWildcard(fresh, claimed) : resumeNames(fresh, claimed, target);
}

/**
 * Applies a later request. It counts whatever nonce it carries, since subscriptions are differences: one that
 * was ignored would be lost. A name in both lists ends up subscribed. `pending`: the responses that the client had
 * not answered when it made the request.
 */
export function changeDelta(
  subscription: Subscription,
  change: DeltaChange,
  pending: readonly Pending[] = [],
): Subscription {
  const removed = unsubscribeDelta(subscription, change.unsubscribe);
  const names = change.subscribe.filter((name) => name !== WILDCARD);
  const fresh = names.filter((name) => isCollection(name) && !removed.names.has(name));
  const added = expectUnderWay(subscribe(removed, names), fresh, pending);
  return names.length < change.subscribe.length ? startWildcard(added, pending) : added;
}

/** What a stream is to be sent next to come level with the target; additions first where removals have to wait. */
export function nextDelta(before: Subscription, target: Target, additionsOnly: boolean): Advance {
  const isAskedAgain = before.again && before.level === target.set;
  const subscription = isAskedAgain ? { ...before, level: forgotten(before.level), again: false } : before;
  const step = subscription.wildcard ? target.step(subscription.level, additionsOnly) : undefined;
  if (step !== undefined) {
    const due = answeredBy(subscription, step.after);
    return { subscription: { ...subscription, level: step.after, due, owed: false }, content: step.content };
  }
  const { due, content } = settleNames(subscription, target, additionsOnly ? 'later' : 'send');
  const removalsWait = subscription.wildcard && target.difference(subscription.level).removals.length > 0;
  const level = removalsWait ? subscription.level : target.set;
  return answerOwed({ subscription: { ...subscription, level, due }, content }, target);
}

/** A first request is answered even if there is nothing to say, once nothing else is left to say. */
export function answerOwed({ subscription, content }: Advance, target: Target): Advance {
  if (!subscription.owed) return { subscription, content };
  const isDone = subscription.due.size === 0 && subscription.level === target.set && !subscription.again;
  if (content === undefined && !isDone) return { subscription, content };
  return { subscription: { ...subscription, owed: false }, content: content ?? EMPTY_CONTENT };
}

function resumeWildcard(fresh: Subscription, claimed: ResourceSet): Subscription {
  const due = fresh.due.edit((draft) => {
    for (const name of fresh.names.keys()) if (named(claimed, name).size > 0) draft.delete(name);
  });
  return { ...fresh, level: claimed, due };
}

function resumeNames(fresh: Subscription, claimed: ResourceSet, target: Target): Subscription {
  const due = fresh.due.revise((name, before) => {
    const told = named(claimed, name);
    if (told.size === 0) return before;
    return isSameCollection(told, target.named(name)) ? undefined : { told, answer: false };
  });
  return { ...fresh, level: target.set, due };
}

function isSameCollection(one: Collection, other: Collection): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const [name, { version }] of one) if (other.get(name)?.version !== version) return false;
  return true;
}

/**
 * What was given up and is covered again by the time it arrives is held by the client, although what it was told
 * is forgotten here. So what is under way counts as told to the collections that are asked for: what of it is
 * gone is told as removed, like anything else, and nothing stays with the client for good.
 */
function expectUnderWay(
  subscription: Subscription,
  collections: readonly string[],
  pending: readonly Pending[],
): Subscription {
  if (collections.length === 0 || pending.length === 0) return subscription;
  const fresh = new Set(collections);
  const due = subscription.due.edit((draft) => {
    for (const resource of resourcesUnderWay(pending).values()) {
      const collection = `${collectionOf(resource.name)}/${WILDCARD}`;
      const before = fresh.has(collection) ? draft.get(collection) : undefined;
      if (before !== undefined) {
        draft.set(collection, { ...before, told: before.told.set(resource.name, resource) });
      }
    }
  });
  return { ...subscription, due };
}

/**
 * A client that asks for everything is sent everything, and is told what is gone of what it holds or is about to
 * hold. Asked for again, it is sent again once it was sent all, and once only, however often it was asked for
 * until then.
 */
function startWildcard(subscription: Subscription, pending: readonly Pending[]): Subscription {
  if (subscription.wildcard) return { ...subscription, again: true };
  const due = subscription.due.edit((draft) => {
    for (const [name, { answer }] of subscription.due) {
      if (answer) draft.set(name, UNANSWERED);
      else draft.delete(name);
    }
  });
  const held = new Map(resourcesUnderWay(pending));
  for (const resource of allHeld(subscription)) held.set(resource.name, resource);
  return { ...subscription, wildcard: true, level: unknownVersions(held.values()), due };
}

function unknownVersions(resources: Iterable<Resource>): ResourceSet {
  const entries = Array.from(
    resources,
    ({ name }) => [name, claimedResource(name, UNKNOWN_VERSION)] as const,
  );
  return withResources(EMPTY_SET, entries);
}

/** What a client that asks for all of a set again is taken to hold: the same for each, so that they share the answer. */
function forgotten(set: ResourceSet): ResourceSet {
  const known = FORGOTTEN.get(set) ?? unknownVersions(allResources(set));
  FORGOTTEN.set(set, known);
  return known;
}

const FORGOTTEN = new WeakMap<ResourceSet, ResourceSet>();

/**
 * A name that is given up and still covered, by the wildcard or by its collection, is answered: the client
 * cannot know whether it goes on holding it. What was to be answered for that reason and is not covered any more
 * is not.
 */
function unsubscribeDelta(subscription: Subscription, names: readonly string[]): Subscription {
  if (names.length === 0) return subscription;
  const isWildcardOver = subscription.wildcard && names.includes(WILDCARD);
  const remaining = isWildcardOver ? endWildcard(subscription) : subscription;
  const after = unsubscribe(remaining, names);
  if (after === subscription) return subscription;
  const due = after.due.edit((draft) => {
    for (const name of after.due.keys()) if (!isCovered(after, name)) draft.delete(name);
    for (const name of names) {
      if (remaining.names.has(name) && isCovered(after, name)) draft.set(name, UNANSWERED);
    }
  });
  return { ...after, due };
}

/** Does the subscription ask for this name, be it by the wildcard or by its collection? */
export function isCovered({ wildcard, names }: Subscription, name: string): boolean {
  return wildcard || names.has(name) || names.has(`${collectionOf(name)}/${WILDCARD}`);
}

/** What names were told so far, the wildcard told them: from here on that is kept for each that is due. */
function endWildcard(subscription: Subscription): Subscription {
  const { names, level } = subscription;
  const due = subscription.due.edit((draft) => {
    for (const [name, { answer }] of subscription.due) {
      if (names.has(name)) draft.set(name, { told: named(level, name), answer });
    }
  });
  return { ...subscription, wildcard: false, again: false, due };
}
