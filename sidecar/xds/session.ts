import { isDeepStrictEqual } from 'node:util';
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
import { type Extent, NO_EXTENT } from '../services/sync.ts';
import { ENDPOINTS_TYPE_URL, SERVICE_TYPE_URL, serviceOfEndpoints } from '../../wire/resource-kinds.ts';
import { type Ceiling, ceilingWithin, OVERHEAD_BYTES } from './ceiling.ts';
import type { HeldResources } from './held.ts';
import type { Rejection } from './rejection.ts';
import { rejectionStatus } from './rejection.ts';
import { type ResourceKind, WILDCARD } from './resource-kind.ts';
import type { Restored } from './type-state.ts';
import { TypeState } from './type-state.ts';
import { namesGivenTwice } from './well-formed.ts';

/** What one response comes to. */
export interface Received {
  readonly changes: readonly Change[];
  readonly rejections: readonly Rejection[];
  /** Whether this was of a type whose first answer may have further parts: see `settle`. */
  readonly unsettled: boolean;
  /** Whether this was the first of an answer, or of what is different, of which more may follow. */
  readonly begins: boolean;
  /** The ACK or NACK. */
  readonly reply: DeltaDiscoveryRequest;
}

export interface SessionOptions {
  readonly kinds: readonly ResourceKind[];
  readonly node: Node;
  /** Whether the bytes of resources are kept, for `stored`. */
  readonly keepsBytes: boolean;
  readonly ceiling?: Ceiling;
}

/** Too many resources were rejected to remember their names. */
const ANY: Extent['unreadable'] = { has: () => true };
const NOTHING_RESTORED: Restored = { changes: [], unusable: 0 };

/**
 * The state of a delta ADS client: what it subscribed to and what it holds, which outlive a stream, and
 * what it has said on the present one. Reads no clock and no socket.
 */
export class Session {
  readonly #types: ReadonlyMap<string, TypeState>;
  readonly #node: Node;
  readonly #ceiling: Ceiling;
  #nodeSent = false;
  #extent = { version: 0, value: NO_EXTENT };

  constructor({ kinds, node, keepsBytes, ceiling = ceilingWithin(Infinity) }: SessionOptions) {
    this.#types = new Map(kinds.map((kind) => [kind.typeUrl, new TypeState(kind, keepsBytes)]));
    this.#node = node;
    this.#ceiling = ceiling;
  }

  /** Whether a server of this protocol has to say something for what is subscribed to. */
  get awaitsAnswer(): boolean {
    return this.#types.values().some(({ subscribed, answered }) => subscribed.size > answered.size);
  }

  /** How much of what exists was received; the same object until that changes. */
  get extent(): Extent {
    const version = this.#types.values().reduce((sum, { extentVersion }) => sum + extentVersion, 0);
    if (this.#extent.version !== version) {
      const value = this.#newExtent();
      this.#extent = {
        version,
        value: isDeepStrictEqual(value, this.#extent.value) ? this.#extent.value : value,
      };
    }
    return this.#extent.value;
  }

  /** Whether more may be told on this stream, of anything that is subscribed to, than was told so far. */
  get hasUnconfirmed(): boolean {
    return this.#types.values().some((state) => state.hasUnconfirmed);
  }

  /**
   * The first requests of a new stream. The server knows nothing of earlier streams: each names all that is
   * subscribed to, and what is held of it, so that only the difference comes.
   */
  open(): DeltaDiscoveryRequest[] {
    this.#nodeSent = false;
    const requests: DeltaDiscoveryRequest[] = [];
    for (const state of this.#types.values()) {
      const { kind, subscribed, held } = state;
      state.beginStream();
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
    return this.#state(typeUrl).unsubscribe(name)
      ? this.#request(typeUrl, { resourceNamesUnsubscribe: [name] })
      : undefined;
  }

  /** Takes what is good of a response, in the order in which a table should see it, and answers it. */
  receive(response: DeltaDiscoveryResponse, nowMs: number): Received {
    const state = this.#types.get(response.typeUrl);
    if (state === undefined) {
      const reason = 'is a resource type that this sidecar did not subscribe to';
      return this.#received(response, [], [{ name: response.typeUrl, reason }]);
    }
    const isFirst = state.beginResponse();
    const answeredBefore = state.answered.size;
    const changes: Change[] = [];
    const rejections: Rejection[] = [];
    const ambiguous = namesGivenTwice(response);
    for (const name of ambiguous) {
      state.rejected.add(name);
      rejections.push({ name, reason: 'is in one response more than once, so which one counts is unclear' });
    }
    for (const resource of response.resources) {
      if (ambiguous.has(resource.name) || !state.isWanted(resource.name)) {
        continue;
      }
      const origin: Origin = { version: resource.version, source: 'control-plane', sinceMs: nowMs };
      const outcome = this.#surplus(state, resource) ?? state.take(resource, origin);
      if (typeof outcome === 'string') {
        state.rejected.add(resource.name);
        rejections.push({ name: resource.name, reason: outcome });
      } else {
        changes.push(...outcome);
      }
    }
    for (const name of response.removedResources.filter((removed) => !ambiguous.has(removed))) {
      changes.push(...state.remove(name));
    }
    changes.push(...state.settleAt(response.systemVersionInfo));
    const begins = isFirst || state.answered.size > answeredBefore;
    return { ...this.#received(response, changes, rejections), begins };
  }

  /** Takes what was told under a wildcard so far as all that there is. */
  settle(): Change[] {
    return [...this.#types.values()].flatMap((state) => state.settle());
  }

  /** Takes what is held for all that there is: on this stream, there was time to tell whatever is different. */
  confirm(): void {
    for (const state of this.#types.values()) state.confirm();
  }

  /** Takes up what an earlier run held; what cannot be used any more is left for the server to send. */
  restore(types: readonly StoredType[], sinceMs: number): Restored {
    const restored = types.map((stored) => {
      const state = this.#types.get(stored.typeUrl);
      return state === undefined ? NOTHING_RESTORED : state.restore(stored, sinceMs);
    });
    return {
      changes: restored.flatMap(({ changes }) => changes),
      unusable: restored.reduce((sum, { unusable }) => sum + unusable, 0),
    };
  }

  /** What `restore` takes. */
  stored(): StoredType[] {
    return [...this.#types.values()].map((state) => state.stored());
  }

  #newExtent(): Extent {
    const states = [...this.#types.values()];
    const services = this.#types.get(SERVICE_TYPE_URL);
    const endpoints = this.#types.get(ENDPOINTS_TYPE_URL)?.confirmed ?? [];
    return {
      services: services?.confirmed.has(WILDCARD) === true,
      endpoints: new Set([...endpoints].map(serviceOfEndpoints)),
      unreadable: states.some(({ rejected }) => rejected.hasOthers)
        ? ANY
        : new Set(states.flatMap(({ kind, rejected }) => rejected.names.map(kind.serviceOf))),
    };
  }

  /** Whether no resource is held at all. */
  get isEmpty(): boolean {
    return this.#types.values().every(({ held }) => held.count === 0);
  }

  /** Whether a resource of this name is held, of whatever type. */
  holds(name: string): boolean {
    return this.#types.values().some(({ held }) => held.get(name) !== undefined);
  }

  /** Why there is no room for this resource, if so. What is held of it stays. */
  #surplus({ kind, held }: TypeState, { name, resource }: Resource): string | undefined {
    const before = held.get(name);
    const count = this.#sum((type) => type.count) + (before === undefined ? 1 : 0);
    if (count > this.#ceiling.resources) {
      return `is one more than the ${this.#ceiling.resources} resources that a sidecar holds`;
    }
    const more = (resource?.value.length ?? 0) - (before?.size ?? 0);
    const bytes = this.#sum((type) => type.bytes) + more + count * OVERHEAD_BYTES;
    const isLarger = before === undefined || more > 0;
    return isLarger && bytes > this.#ceiling.bytes ? noRoom(kind, this.#ceiling) : undefined;
  }

  #sum(of: (held: HeldResources) => number): number {
    return this.#types.values().reduce((sum, { held }) => sum + of(held), 0);
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
    const unsettled = this.#types.get(response.typeUrl)?.isUnsettled ?? false;
    return { changes, rejections, unsettled, begins: false, reply };
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

function noRoom({ typeUrl }: ResourceKind, { bytes }: Ceiling): string {
  const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  return (
    `is a ${type} for which this sidecar has no room: with it, resources would take more than ${bytes} bytes, which ` +
    'is what its memory limit allows. What was known of it stays. Raise the memory limit of the sidecar ' +
    '(annotation cortexflow.io/proxy-memory-limit), or have fewer or smaller resources'
  );
}
