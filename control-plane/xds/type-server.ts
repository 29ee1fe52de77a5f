import { NO_CLAIMS, readAllClaims } from './claims.ts';
import type { ReadClaims } from './claims.ts';
import type { TypeCounters } from './counters.ts';
import { beginDelta, nextDelta } from './delta-subscription.ts';
import type { Advance } from './delta-subscription.ts';
import { NOTHING_GONE } from './gone-names.ts';
import type { GoneNames } from './gone-names.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { ResourceSet } from './resource-set.ts';
import { renonce, serialise } from './response.ts';
import type { Protocol, Response } from './response.ts';
import { changeSotw, nextSotw } from './sotw-subscription.ts';
import type { Subscription } from './subscription.ts';
import { memo, Target } from './target.ts';
import type { Content } from './target.ts';

/** Sets share what they have in common, so that one more costs what changed. */
const RECENT_SETS = 64;

/** Serialised responses that are kept for the streams that are sent the same next. */
const KEPT_RESPONSES = 16;

/** What the first request of a stream makes of its subscription, and what it claims that does not exist. */
export interface Beginning {
  readonly subscription: Subscription;
  readonly gone: GoneNames;
}

/** Serves one resource type in one protocol: holds what its streams are to become level with, and shares what they are sent. */
export class TypeServer {
  readonly typeUrl: string;
  readonly protocol: Protocol;
  readonly fullState: boolean;
  readonly counters: TypeCounters;
  readonly #nextId: () => number;
  #target: Target;
  readonly #recent = new Map<string, ResourceSet>();
  #begun = new WeakMap<DeltaRequest | SotwRequest, Beginning>();
  #advances = new WeakMap<Subscription, Advance>();
  #additions = new WeakMap<Subscription, Advance>();
  /** A content lives until its last stream has acknowledged it, which is too long for a response to be kept. */
  #responses = new WeakMap<Content, WeakRef<Response>>();
  #latest: Response[] = [];

  constructor(
    type: {
      readonly typeUrl: string;
      readonly protocol: Protocol;
      readonly fullState: boolean;
      readonly counters: TypeCounters;
    },
    target: Target,
    nextId: () => number,
  ) {
    this.typeUrl = type.typeUrl;
    this.protocol = type.protocol;
    this.fullState = type.fullState;
    this.counters = type.counters;
    this.#target = target;
    this.#nextId = nextId;
  }

  get target(): Target {
    return this.#target;
  }

  replace(set: ResourceSet): void {
    if (set === this.#target.set) return;
    const { set: previous, stepBytes } = this.#target;
    this.#recent.delete(previous.version);
    this.#recent.set(previous.version, previous);
    const [oldest] = this.#recent.keys();
    if (oldest !== undefined && this.#recent.size > RECENT_SETS) this.#recent.delete(oldest);
    this.#target = new Target(set, stepBytes, this.#recent);
    this.#responses = new WeakMap();
    this.#latest = [];
    this.#begun = new WeakMap();
    this.#advances = new WeakMap();
    this.#additions = new WeakMap();
  }

  /**
   * What a stream's first request begins; its claims are read here unless they were before. Streams that share the
   * request share the subscription, but names that are gone belong to one stream.
   */
  begin(request: DeltaRequest | SotwRequest, claims?: ReadClaims): Beginning {
    const known = this.#begun.get(request);
    if (known !== undefined) return known;
    const beginning = this.#begin(request, claims);
    if (beginning.gone.bytes === 0) this.#begun.set(request, beginning);
    return beginning;
  }

  #begin(request: DeltaRequest | SotwRequest, claims: ReadClaims | undefined): Beginning {
    const target = this.#target;
    if (!('subscribe' in request)) {
      return { subscription: changeSotw(undefined, request.names), gone: NOTHING_GONE };
    }
    const { subscribe } = request;
    const held =
      request.claims.count === 0
        ? undefined
        : (claims ?? readAllClaims(request.claims, target, { subscribe, chunkBytes: target.stepBytes }));
    return {
      subscription: beginDelta(request, held ?? NO_CLAIMS, target),
      gone: held?.gone ?? NOTHING_GONE,
    };
  }

  /**
   * The next response of a stream, and its subscription after it. Streams with one subscription value go on
   * sharing it, so that a thousand sidecars with equal names cost one of them.
   */
  advance(subscription: Subscription, additionsOnly: boolean): Advance {
    return memo(additionsOnly ? this.#additions : this.#advances, subscription, () =>
      this.protocol === 'delta'
        ? nextDelta(subscription, this.#target, additionsOnly)
        : nextSotw(subscription, this.#target, { fullState: this.fullState, additionsOnly }),
    );
  }

  /**
   * The one response for this content. Its nonce is new to a stream whose last one was an earlier; else the
   * stream gets a copy under a nonce of its own.
   */
  response(content: Content, lastId: number): Response {
    let response = this.#responses.get(content)?.deref();
    if (response === undefined) {
      response = serialise(
        { typeUrl: this.typeUrl, protocol: this.protocol, set: this.#target.set },
        content,
        this.#nextId(),
      );
      this.#responses.set(content, new WeakRef(response));
      this.#latest.push(response);
      if (this.#latest.length > KEPT_RESPONSES) this.#latest.shift();
    }
    return response.id > lastId ? response : renonce(response, this.#nextId());
  }
}
