import { create } from '@bufbuild/protobuf';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  Resource,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { DeltaDiscoveryRequestSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type { Change, Origin } from '../services/change.ts';
import type { StoredType } from '../services/last-good-file.ts';
import { HeldResources } from './held.ts';
import type { Rejection } from './rejection.ts';
import { rejectionStatus } from './rejection.ts';
import type { ResourceKind } from './resource-kind.ts';
import { namesGivenTwice, problemWith } from './well-formed.ts';

/** What one response comes to. */
export interface Received {
  readonly changes: readonly Change[];
  readonly rejections: readonly Rejection[];
  /** Whether this was of a type whose first answer may have further parts: see `settle`. */
  readonly unsettled: boolean;
  /** The ACK or NACK. */
  readonly reply: DeltaDiscoveryRequest;
}

export interface SessionOptions {
  readonly kinds: readonly ResourceKind[];
  readonly node: Node;
  /** Whether the bytes of resources are kept, for `stored`. */
  readonly keepsBytes: boolean;
}

interface TypeState {
  readonly kind: ResourceKind;
  readonly subscribed: Set<string>;
  /** Subscriptions answered as a whole, be it with nothing. */
  readonly answered: Set<string>;
  readonly held: HeldResources;
}

const WILDCARD = '*';

/**
 * The state of a delta ADS client: what it subscribed to and what it holds, which outlive a stream, and
 * what it has said on the present one. Reads no clock and no socket.
 */
export class Session {
  readonly #types: ReadonlyMap<string, TypeState>;
  readonly #node: Node;
  readonly #keepsBytes: boolean;
  #nodeSent = false;

  constructor({ kinds, node, keepsBytes }: SessionOptions) {
    this.#types = new Map(kinds.map((kind) => [kind.typeUrl, newState(kind)]));
    this.#node = node;
    this.#keepsBytes = keepsBytes;
  }

  /** Whether a server of this protocol has to say something for what is subscribed to. */
  get awaitsAnswer(): boolean {
    return this.#types.values().some(({ subscribed, answered }) => subscribed.size > answered.size);
  }

  /**
   * The first requests of a new stream. The server knows nothing of earlier streams: each names all that is
   * subscribed to, and what is held of it, so that only the difference comes.
   */
  open(): DeltaDiscoveryRequest[] {
    this.#nodeSent = false;
    const requests: DeltaDiscoveryRequest[] = [];
    for (const { kind, subscribed, held } of this.#types.values()) {
      // A first request without names would be a wildcard subscription.
      if (subscribed.size > 0) {
        const initialResourceVersions = Object.fromEntries(
          [...held].map(([name, { version }]) => [name, version]),
        );
        requests.push(
          this.#request(kind.typeUrl, { resourceNamesSubscribe: [...subscribed], initialResourceVersions }),
        );
      }
    }
    return requests;
  }

  /** The request that says so on an open stream; undefined where nothing new is asked for. */
  subscribe(typeUrl: string, name: string): DeltaDiscoveryRequest | undefined {
    const { subscribed } = this.#state(typeUrl);
    if (subscribed.has(name)) {
      return undefined;
    }
    subscribed.add(name);
    return this.#request(typeUrl, { resourceNamesSubscribe: [name] });
  }

  /** Lets go of a subscription and all that came under it. */
  unsubscribe(typeUrl: string, name: string): DeltaDiscoveryRequest | undefined {
    const state = this.#state(typeUrl);
    if (!state.subscribed.delete(name)) {
      return undefined;
    }
    state.answered.delete(name);
    dropHeld(state, name);
    return this.#request(typeUrl, { resourceNamesUnsubscribe: [name] });
  }

  /** Takes what is good of a response, in the order in which a table should see it, and answers it. */
  receive(response: DeltaDiscoveryResponse, nowMs: number): Received {
    const state = this.#types.get(response.typeUrl);
    if (state === undefined) {
      const reason = 'is a resource type that this sidecar did not subscribe to';
      return this.#received(response, [], [{ name: response.typeUrl, reason }]);
    }
    const changes: Change[] = [];
    const rejections: Rejection[] = [];
    const ambiguous = namesGivenTwice(response);
    for (const name of ambiguous) {
      rejections.push({ name, reason: 'is in one response more than once, so which one counts is unclear' });
    }
    for (const resource of response.resources) {
      if (ambiguous.has(resource.name) || !isWanted(state, resource.name)) {
        continue;
      }
      const origin: Origin = { version: resource.version, source: 'control-plane', sinceMs: nowMs };
      const outcome = this.#take(state, resource, origin);
      if (typeof outcome === 'string') {
        rejections.push({ name: resource.name, reason: outcome });
      } else {
        changes.push(...outcome);
      }
    }
    for (const name of response.removedResources.filter((removed) => !ambiguous.has(removed))) {
      changes.push(...remove(state, name));
    }
    changes.push(...answerIfWhole(state, response.systemVersionInfo));
    return this.#received(response, changes, rejections);
  }

  /** Takes what was told under a wildcard so far as all that there is. */
  settle(): Change[] {
    return [...this.#types.values()].flatMap((state) => (state.kind.wildcard ? answer(state, WILDCARD) : []));
  }

  /** Takes up what an earlier run held; what cannot be used any more is left for the server to send. */
  restore(types: readonly StoredType[], sinceMs: number): Change[] {
    const changes: Change[] = [];
    for (const { typeUrl, answered, resources } of types) {
      const state = this.#types.get(typeUrl);
      if (state === undefined) {
        continue;
      }
      for (const name of answered) {
        state.subscribed.add(name);
        changes.push(...answer(state, name));
      }
      for (const { name, version, bytes } of resources) {
        const decoded = state.kind.put(name, bytes, { version, source: 'disk', sinceMs });
        if (decoded.ok && isWanted(state, name)) {
          state.held.set(name, { version, size: bytes.length, bytes: this.#keepsBytes ? bytes : undefined });
          changes.push(decoded.value);
        }
      }
    }
    return changes;
  }

  /** What `restore` takes. */
  stored(): StoredType[] {
    return [...this.#types.values()].map(({ kind, answered, held }) => ({
      typeUrl: kind.typeUrl,
      answered: [...answered],
      resources: [...held].flatMap(([name, { version, bytes }]) =>
        bytes === undefined ? [] : [{ name, version, bytes }],
      ),
    }));
  }

  /** The changes that a resource brings, or why it is rejected. */
  #take(state: TypeState, resource: Resource, origin: Origin): Change[] | string {
    const { name, version } = resource;
    if (name !== '' && state.held.get(name)?.version === version) {
      return [];
    }
    const problem = problemWith(resource, state.kind.typeUrl);
    if (problem !== undefined) {
      return problem;
    }
    const bytes = resource.resource?.value ?? new Uint8Array();
    const decoded = state.kind.put(name, bytes, origin);
    if (!decoded.ok) {
      return decoded.reason;
    }
    // A copy, because these bytes are a window on the whole response.
    state.held.set(name, {
      version,
      size: bytes.length,
      bytes: this.#keepsBytes ? bytes.slice() : undefined,
    });
    const answered = state.kind.wildcard ? [] : answer(state, state.kind.subscriptionOf(name));
    return [...answered, decoded.value];
  }

  #received(
    response: DeltaDiscoveryResponse,
    changes: readonly Change[],
    rejections: readonly Rejection[],
  ): Received {
    const reply = this.#request(response.typeUrl, { responseNonce: response.nonce });
    if (rejections.length > 0) {
      reply.errorDetail = rejectionStatus(rejections);
    }
    return { changes, rejections, unsettled: this.#isUnsettled(response.typeUrl), reply };
  }

  #isUnsettled(typeUrl: string): boolean {
    const state = this.#types.get(typeUrl);
    return state !== undefined && state.kind.wildcard && !state.answered.has(WILDCARD);
  }

  #state(typeUrl: string): TypeState {
    const state = this.#types.get(typeUrl);
    if (state === undefined) {
      throw new Error(`${typeUrl} is not among the resource types of this session`);
    }
    return state;
  }

  #request(
    typeUrl: string,
    fields: Partial<Omit<DeltaDiscoveryRequest, '$typeName' | '$unknown'>>,
  ): DeltaDiscoveryRequest {
    const request = create(DeltaDiscoveryRequestSchema, { ...fields, typeUrl });
    if (!this.#nodeSent) {
      this.#nodeSent = true;
      request.node = this.#node;
    }
    return request;
  }
}

function newState(kind: ResourceKind): TypeState {
  return {
    kind,
    subscribed: new Set(kind.wildcard ? [WILDCARD] : []),
    answered: new Set(),
    held: new HeldResources(),
  };
}

/** The change that comes with the first answer to a subscription, once that is whole. */
function answer(state: TypeState, subscription: string): Change[] {
  if (state.answered.has(subscription)) {
    return [];
  }
  state.answered.add(subscription);
  return [state.kind.answered(subscription)];
}

function answerIfWhole(state: TypeState, systemVersion: string): Change[] {
  return state.kind.wildcard && state.held.isSetOfVersion(systemVersion) ? answer(state, WILDCARD) : [];
}

/** What arrives after it was unsubscribed from was sent before the server heard of that. */
function isWanted({ kind, subscribed }: TypeState, name: string): boolean {
  return subscribed.has(kind.subscriptionOf(name));
}

function remove(state: TypeState, name: string): Change[] {
  // A collection removed as a whole has become empty, or was so when it was asked for.
  if (!state.kind.wildcard && state.subscribed.has(name)) {
    dropHeld(state, name);
    state.answered.add(name);
    return [state.kind.answered(name)];
  }
  return state.held.delete(name) ? [state.kind.removed(name)] : [];
}

function dropHeld({ kind, held }: TypeState, subscription: string): void {
  for (const name of held.names()) {
    if (kind.subscriptionOf(name) === subscription) {
      held.delete(name);
    }
  }
}
