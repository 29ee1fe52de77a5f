import { emptyMap } from './persistent-map.ts';
import type { PersistentMap } from './persistent-map.ts';
import type { Refusal } from './rejection.ts';
import type { ResourceSet } from './resource-set.ts';
import { UNKNOWN_VERSION } from './resource.ts';
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
  readonly missed: Missed | undefined;
  /** When something was sent or answered last, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

export interface Pending {
  readonly nonce: string;
  readonly after: Subscription;
  readonly content: Content;
  /** What there was when it was sent. */
  readonly current: ResourceSet;
}

/** A resource of a response that was rejected. */
export interface Rejection {
  /** The version that was rejected, and the one before it that was not; empty for none. */
  readonly version: string;
  readonly acceptedVersion: string;
  /** The client's own words; undefined: it named others, and may have taken this one. */
  readonly reason: string | undefined;
  readonly at: number;
}

/** What the client may have missed because it came in rejected responses: due again once there is something newer. */
export interface Missed {
  /** `all`: each response is complete, and says by what is absent what is gone. */
  readonly names: ReadonlySet<string> | 'all';
  /** What there was when the rejected response was sent. */
  readonly since: ResourceSet;
}

/** A client that never answers is remembered this far back; what it was sent before counts as unanswered. */
const PENDING = 64;
/** A client that rejects everything is sent so many resources again, the newest. */
const MOST_MISSED = 4096;

export function noAcknowledgements(subscription: Subscription): Acknowledgements {
  return { answered: subscription, pending: [], rejected: emptyMap(), missed: undefined, updatedAt: 0 };
}

export function recordSent(acks: Acknowledgements, response: Pending, at: number): Acknowledgements {
  const kept = acks.pending.length < PENDING ? acks.pending : acks.pending.slice(1);
  const missed = acks.missed === undefined ? undefined : withoutSent(acks.missed, response.content);
  return { ...acks, pending: [...kept, response], missed, updatedAt: at };
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
  const rejected = acks.rejected.size === 0 ? acks.rejected : stillRejected(acks.rejected, response);
  return { ...acks, answered: response.after, pending, rejected, updatedAt: at };
}

/**
 * Unless the client named exactly what it rejected, it may have missed anything else that the response had. What it
 * had accepted before at the same version it still holds.
 */
export function recordRejected(
  acks: Acknowledgements,
  response: Pending,
  { refusal, at, complete }: { readonly refusal: Refusal; readonly at: number; readonly complete: boolean },
): Acknowledgements {
  const { naming, reasons } = refusal;
  const before = acks.pending[acks.pending.indexOf(response) - 1]?.after ?? acks.answered;
  const answered = recordAccepted(acks, response, at);
  const names = naming === 'exactly' ? [...reasons.keys()] : namesIn(response.content);
  const rejected = answered.rejected.edit((draft) => {
    for (const name of names) {
      const version = held(response.after, name)?.version ?? '';
      const acceptedVersion = acceptedBefore(acks, before, name);
      const isNamed = naming !== 'none' && reasons.has(name);
      if (isNamed || version !== acceptedVersion) {
        draft.set(name, { version, acceptedVersion, reason: reasons.get(name), at });
      }
    }
  });
  if (naming === 'exactly') return { ...answered, rejected };
  const unnamed = naming === 'none' ? names : names.filter((name) => !reasons.has(name));
  const missed = withMissed(acks.missed, complete ? 'all' : unnamed, response.current);
  return { ...answered, rejected, missed: withoutPending(missed, answered.pending) };
}

function namesIn({ upserts, removals }: Content): string[] {
  return [...upserts.map(({ name }) => name), ...removals];
}

function withMissed(
  missed: Missed | undefined,
  names: readonly string[] | 'all',
  since: ResourceSet,
): Missed | undefined {
  if (names === 'all' || missed?.names === 'all') return { names: 'all', since };
  if (names.length === 0) return missed;
  const all = [...new Set([...(missed?.names ?? []), ...names])];
  return { names: new Set(all.slice(-MOST_MISSED)), since };
}

/** What a later response had is not missed yet. */
function withoutPending(missed: Missed | undefined, pending: readonly Pending[]): Missed | undefined {
  let left = missed;
  for (const { content } of pending) left = left === undefined ? undefined : withoutSent(left, content);
  return left;
}

function withoutSent(missed: Missed, content: Content): Missed | undefined {
  if (missed.names === 'all') return undefined;
  const names = missed.names.difference(new Set(namesIn(content)));
  return names.size === 0 ? undefined : { ...missed, names };
}

function acceptedBefore(acks: Acknowledgements, before: Subscription, name: string): string {
  const version = held(before, name)?.version ?? '';
  const rejection = acks.rejected.get(name);
  if (version === UNKNOWN_VERSION) return rejection?.acceptedVersion ?? '';
  return rejection?.version === version ? rejection.acceptedVersion : version;
}

/** A rejection is over when the client took the resource after all, or holds another version of it, or none. */
function stillRejected(
  rejections: PersistentMap<Rejection>,
  { after, content }: Pending,
): PersistentMap<Rejection> {
  return rejections.edit((draft) => {
    for (const name of namesIn(content)) draft.delete(name);
    for (const [name, { version }] of rejections) {
      const isRemoval = version === '' && after.names.has(name);
      const now = held(after, name)?.version ?? (isRemoval ? '' : undefined);
      if (now !== version) draft.delete(name);
    }
  });
}
