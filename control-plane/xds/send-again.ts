import { collectionOf, isCollection, withResources } from './resource-set.ts';
import { claimedResource, UNKNOWN_VERSION } from './resource.ts';
import { held, subscribe, told, WILDCARD } from './subscription.ts';
import type { Due, Subscription } from './subscription.ts';

/**
 * The subscription with these resources due again, as far as it covers them: whatever version the client holds, each
 * is sent as it is by then, or sent as removed.
 */
export function sendAgain(subscription: Subscription, names: readonly string[]): Subscription {
  const due = subscription.due.edit((draft) => {
    const dueOf = (name: string): Due => draft.get(name) ?? { told: told(subscription, name), answer: false };
    for (const name of names) {
      if (subscription.names.has(name)) draft.set(name, { ...dueOf(name), answer: true });
      const collection = `${collectionOf(name)}/${WILDCARD}`;
      if (collection === name || !subscription.names.has(collection)) continue;
      const before = dueOf(collection);
      draft.set(collection, { ...before, told: before.told.set(name, ofUnknownVersion(name)) });
    }
  });
  if (!subscription.wildcard) return { ...subscription, due };
  const resources = names.filter((name) => !isCollection(name));
  const unknown = resources.map((name) => [name, ofUnknownVersion(name)] as const);
  return { ...subscription, due, level: withResources(subscription.level, unknown) };
}

/** The same for what other resources refer to: a name that the client neither holds nor asked for is left out. */
export function sendReferred(subscription: Subscription, names: readonly string[]): Subscription {
  const wanted = names.filter(
    (name) => subscription.names.has(name) || held(subscription, name) !== undefined,
  );
  return wanted.length === 0 ? subscription : sendAgain(subscription, wanted);
}

/** The subscription with everything due again that it asks for. Only for responses that are complete. */
export function sendAllAgain(subscription: Subscription): Subscription {
  const { wildcard, owed } = subscription;
  return { ...subscribe(subscription, [...subscription.names.keys()]), owed: wildcard || owed };
}

function ofUnknownVersion(name: string): ReturnType<typeof claimedResource> {
  return claimedResource(name, UNKNOWN_VERSION);
}
