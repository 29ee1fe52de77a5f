import {
  noAcknowledgements,
  pendingResponse,
  recordAccepted,
  recordRejected,
  recordSent,
} from './acknowledgements.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { TypeCounters } from './counters.ts';
import { beginDelta, changeDelta, nextDelta } from './delta-subscription.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { rejectedResources } from './rejection.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { Resource } from './resource.ts';
import type { Response } from './response.ts';
import { sendReferred } from './send-again.ts';
import { changeSotw, nextSotw } from './sotw-subscription.ts';
import type { Subscription } from './subscription.ts';
import type { Content, Target } from './target.ts';
import type { TypeServer } from './type-server.ts';

/** One stream's dealings with one resource type: the current values of what the pure modules compute. */
export class TypeSession {
  readonly server: TypeServer;
  subscription: Subscription;
  acknowledgements: Acknowledgements;
  /** Of what `advance` returned last, the resources that are not just repeated because a response is complete. */
  changed: readonly Resource[] = [];
  #lastId = 0;
  #lastNonce = '';

  /** Begins with the first request of a stream for this type, whose nonce, if any, is of another stream. */
  constructor(server: TypeServer, request: DeltaRequest | SotwRequest) {
    this.server = server;
    this.subscription =
      'subscribe' in request
        ? beginDelta(request, request.claims, server.target)
        : changeSotw(undefined, request.names);
    this.acknowledgements = noAcknowledgements(this.subscription);
  }

  get typeUrl(): string {
    return this.server.typeUrl;
  }

  get target(): Target {
    return this.server.target;
  }

  get counters(): TypeCounters {
    return this.server.counters;
  }

  isLevel(): boolean {
    const { level, due, owed, again } = this.subscription;
    return level === this.target.set && due.size === 0 && !owed && !again;
  }

  /** Takes the subscription as far as one response goes, which is returned; undefined: there is nothing to send. */
  advance(additionsOnly: boolean): Content | undefined {
    const { protocol, fullState, target } = this.server;
    const before = this.subscription;
    const { subscription, content } =
      protocol === 'delta'
        ? nextDelta(before, target, additionsOnly)
        : nextSotw(before, target, { fullState, additionsOnly });
    this.subscription = subscription;
    const repeats = protocol === 'sotw' && fullState && before.wildcard;
    this.changed = repeats ? target.difference(before.level).upserts : (content?.upserts ?? []);
    return content;
  }

  /** Makes these names due again, as far as they are subscribed: a resource that refers to them was sent. */
  follow(names: readonly string[]): void {
    this.subscription = sendReferred(this.subscription, names);
  }

  /** The bytes to write, which from then on count as sent. */
  send(content: Content, at: number): Response {
    const response = this.server.response(content, this.#lastId);
    this.#lastId = response.id;
    this.#lastNonce = response.nonce;
    const pending = { nonce: response.nonce, after: this.subscription, content };
    this.acknowledgements = recordSent(this.acknowledgements, pending, at);
    this.counters.pushes += 1;
    this.counters.pushedBytes += response.bytes.length;
    return response;
  }

  /** Does a response with this nonce wait for an answer? */
  awaits(nonce: string): boolean {
    return pendingResponse(this.acknowledgements, nonce) !== undefined;
  }

  /** Takes a later request; true where it changes the subscription, and is not just an answer to a response. */
  receive(request: DeltaRequest | SotwRequest, at: number): boolean {
    const { nonce, error } = request;
    if (nonce !== '') this.#answer(nonce, error, at);
    const before = this.subscription;
    const { pending } = this.acknowledgements;
    if ('subscribe' in request) this.subscription = changeDelta(before, request, pending);
    else if (nonce === '' || nonce === this.#lastNonce) this.subscription = changeSotw(before, request.names);
    return this.subscription !== before;
  }

  #answer(nonce: string, error: Status | undefined, at: number): void {
    const response = pendingResponse(this.acknowledgements, nonce);
    if (response === undefined) return;
    if (error === undefined) this.counters.acks += 1;
    else this.counters.nacks += 1;
    this.acknowledgements =
      error === undefined
        ? recordAccepted(this.acknowledgements, response, at)
        : recordRejected(this.acknowledgements, response, {
            reasons: rejectedResources(error, response.content),
            at,
          });
  }
}
