import type { TypeCounters } from './counters.ts';
import type { ResourceSet } from './resource-set.ts';
import { renonce, serialise } from './response.ts';
import type { Protocol, Response } from './response.ts';
import { Target } from './target.ts';
import type { Content } from './target.ts';

/** Sets share what they have in common, so that one more costs what changed. */
const RECENT_SETS = 64;

/** Serves one resource type in one protocol: holds what its streams are to become level with, and shares what they are sent. */
export class TypeServer {
  readonly typeUrl: string;
  readonly protocol: Protocol;
  readonly fullState: boolean;
  readonly counters: TypeCounters;
  readonly #nextId: () => number;
  #target: Target;
  readonly #recent = new Map<string, ResourceSet>();
  #responses = new WeakMap<Content, Response>();

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
  }

  /**
   * The one response for this content. Its nonce is new to a stream whose last one was an earlier; else the
   * stream gets a copy under a nonce of its own.
   */
  response(content: Content, lastId: number): Response {
    let response = this.#responses.get(content);
    if (response === undefined) {
      response = serialise(
        { typeUrl: this.typeUrl, protocol: this.protocol, set: this.#target.set },
        content,
        this.#nextId(),
      );
      this.#responses.set(content, response);
    }
    return response.id > lastId ? response : renonce(response, this.#nextId());
  }
}
