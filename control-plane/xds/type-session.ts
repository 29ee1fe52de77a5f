import {
  noAcknowledgements,
  pendingResponse,
  recordAccepted,
  recordRejected,
  recordSent,
} from './acknowledgements.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { TypeCounters } from './counters.ts';
import { nextDelta } from './delta-subscription.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { rejectedResources } from './rejection.ts';
import type { Response } from './response.ts';
import { nextSotw } from './sotw-subscription.ts';
import type { Subscription } from './subscription.ts';
import type { Content, Target } from './target.ts';
import type { TypeServer } from './type-server.ts';

/** One stream's dealings with one resource type: the current values of what the pure modules compute. */
export class TypeSession {
  readonly server: TypeServer;
  subscription: Subscription;
  acknowledgements: Acknowledgements;
  #lastId = 0;
  #lastNonce = '';

  constructor(server: TypeServer, subscription: Subscription) {
    this.server = server;
    this.subscription = subscription;
    this.acknowledgements = noAcknowledgements(subscription);
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

  get lastNonce(): string {
    return this.#lastNonce;
  }

  isLevel(): boolean {
    const { level, due, owed } = this.subscription;
    return level === this.target.set && due.size === 0 && !owed;
  }

  /** Takes the subscription as far as one response goes, which is returned; undefined: there is nothing to send. */
  advance(additionsOnly: boolean): Content | undefined {
    const { protocol, fullState, target } = this.server;
    const { subscription, content } =
      protocol === 'delta'
        ? nextDelta(this.subscription, target, additionsOnly)
        : nextSotw(this.subscription, target, { fullState, additionsOnly });
    this.subscription = subscription;
    return content;
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

  /** The client's answer to a response; of an unknown nonce, none. */
  answer(nonce: string, error: Status | undefined, at: number): void {
    if (error === undefined) this.counters.acks += 1;
    else this.counters.nacks += 1;
    const response = pendingResponse(this.acknowledgements, nonce);
    if (response === undefined) return;
    this.acknowledgements =
      error === undefined
        ? recordAccepted(this.acknowledgements, response, at)
        : recordRejected(this.acknowledgements, response, {
            reasons: rejectedResources(error, response.content),
            at,
          });
  }
}
