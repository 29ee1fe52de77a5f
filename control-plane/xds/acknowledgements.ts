import { emptyMap } from './persistent-map.ts';
import type { PersistentMap } from './persistent-map.ts';
import type { Resource } from './resource.ts';
import { held } from './subscription.ts';
import type { Subscription } from './subscription.ts';
import type { Content } from './target.ts';

/**
 * What a client made of what it was sent, for one type on one stream. What it accepted is told by the
 * subscription as it was then, a value that is shared anyway; only rejections are kept one by one.
 */
export interface Acknowledgements {
  /** Up to here everything was answered. */
  readonly answered: Subscription;
  /** Responses without an answer, oldest first; not more than `PENDING`. */
  readonly pending: readonly Pending[];
  readonly rejected: PersistentMap<Rejection>;
  /** When something was sent or answered last, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

export interface Pending {
  readonly nonce: string;
  readonly after: Subscription;
  readonly content: Content;
}

export interface Rejection {
  /** The version that was rejected, and the one before it that was not; empty for none. */
  readonly version: string;
  readonly acceptedVersion: string;
  /** The client's own words. */
  readonly reason: string;
  readonly at: number;
}

/** A client that never answers is remembered this far back; what it was sent before counts as unanswered. */
const PENDING = 64;

export function noAcknowledgements(subscription: Subscription): Acknowledgements {
  return { answered: subscription, pending: [], rejected: emptyMap(), updatedAt: 0 };
}

export function recordSent(acks: Acknowledgements, response: Pending, at: number): Acknowledgements {
  const kept = acks.pending.length < PENDING ? acks.pending : acks.pending.slice(1);
  return { ...acks, pending: [...kept, response], updatedAt: at };
}

/** What the response was that this nonce is of, while it waits for an answer. */
export function pendingResponse(acks: Acknowledgements, nonce: string): Pending | undefined {
  return acks.pending.find((response) => response.nonce === nonce);
}

/**
 * By name, the resources that a client without any will hold once it took all responses that it has not answered.
 * Computed once for each list, so that a client that never answers cannot have it computed with every request.
 */
export function resourcesUnderWay(pending: Acknowledgements['pending']): ReadonlyMap<string, Resource> {
  const known = UNDER_WAY.get(pending);
  if (known !== undefined) return known;
  const resources = new Map<string, Resource>();
  for (const { content } of pending) {
    for (const resource of content.upserts) resources.set(resource.name, resource);
    for (const name of content.removals) resources.delete(name);
  }
  UNDER_WAY.set(pending, resources);
  return resources;
}

const UNDER_WAY = new WeakMap<Acknowledgements['pending'], ReadonlyMap<string, Resource>>();

/** The client took this response, and with it all before, because it answers in order. */
export function recordAccepted(acks: Acknowledgements, response: Pending, at: number): Acknowledgements {
  const pending = acks.pending.slice(acks.pending.indexOf(response) + 1);
  const rejected = acks.rejected.size === 0 ? acks.rejected : stillRejected(acks.rejected, response.after);
  return { answered: response.after, pending, rejected, updatedAt: at };
}

/** `reasons`: the resources of the response that the client could not take, and why; the others it took. */
export function recordRejected(
  acks: Acknowledgements,
  response: Pending,
  { reasons, at }: { readonly reasons: ReadonlyMap<string, string>; readonly at: number },
): Acknowledgements {
  const before = acks.pending[acks.pending.indexOf(response) - 1]?.after ?? acks.answered;
  const rejected = recordAccepted(acks, response, at).rejected.edit((draft) => {
    for (const [name, reason] of reasons) {
      const version = held(response.after, name)?.version ?? '';
      draft.set(name, { version, acceptedVersion: acceptedBefore(acks, before, name), reason, at });
    }
  });
  return { ...recordAccepted(acks, response, at), rejected };
}

function acceptedBefore(acks: Acknowledgements, before: Subscription, name: string): string {
  const version = held(before, name)?.version ?? '';
  const rejection = acks.rejected.get(name);
  return rejection?.version === version ? rejection.acceptedVersion : version;
}

/** A rejection is over when the client holds another version of the resource, or none. */
function stillRejected(
  rejections: PersistentMap<Rejection>,
  subscription: Subscription,
): PersistentMap<Rejection> {
  return rejections.edit((draft) => {
    for (const [name, { version }] of rejections) {
      if (held(subscription, name)?.version !== version) draft.delete(name);
    }
  });
}
