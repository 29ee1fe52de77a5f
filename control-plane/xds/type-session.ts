import {
  noAcknowledgements,
  pendingResponse,
  recordAccepted,
  recordRejected,
  recordSent,
} from './acknowledgements.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { BYTES_PER_NAME } from './byte-budget.ts';
import type { ReadClaims } from './claims.ts';
import type { TypeCounters } from './counters.ts';
import { changeDelta, isCovered } from './delta-subscription.ts';
import type { GoneNames } from './gone-names.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { refusalOf } from './rejection.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { Resource } from './resource.ts';
import type { Response } from './response.ts';
import { findResource } from './resource-set.ts';
import { sendAgain, sendAllAgain, sendReferred } from './send-again.ts';
import { changeSotw } from './sotw-subscription.ts';
import type { Subscription } from './subscription.ts';
import { sizeOf } from './target.ts';
import type { Content, Target } from './target.ts';
import type { TypeServer } from './type-server.ts';

/** One stream's dealings with one resource type: the current values of what the pure modules compute. */
export class TypeSession {
  readonly server: TypeServer;
  subscription: Subscription;
  acknowledgements: Acknowledgements;
  /** What the client claimed to hold and does not exist; sent as removed after everything else. */
  readonly #gone: GoneNames;
  /** What the claimed resources take that differ from ours, until they are level. */
  readonly #claimedBytes: number;
  /** The last content that had such names in it, and what it was without them. */
  #withoutGone: { readonly sent: Content; readonly kept: Content } | undefined;
  /** Of what `advance` returned last, the resources that are not just repeated because a response is complete. */
  changed: readonly Resource[] = [];
  #lastId = 0;
  #lastNonce = '';

  /**
   * Begins with the first request of a stream for this type, whose nonce, if any, is of another stream. Its claims
   * are read here unless they were before.
   */
  constructor(server: TypeServer, request: DeltaRequest | SotwRequest, claims?: ReadClaims) {
    this.server = server;
    const { subscription, gone } = server.begin(request, claims);
    this.#gone = gone;
    this.#claimedBytes = claims?.bytes ?? 0;
    // What is gone is an answer.
    this.subscription = this.#gone.bytes > 0 ? { ...subscription, owed: false } : subscription;
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

  /** What claims and responses that wait for an answer make this process hold beside our resources, about. */
  get unacknowledgedBytes(): number {
    const isLevel = this.subscription.level === this.target.set;
    let bytes = this.#gone.bytes + (isLevel ? 0 : this.#claimedBytes);
    for (const { content } of this.acknowledgements.pending) bytes += bytesOf(content);
    return bytes;
  }

  isLevel(): boolean {
    return this.#gone.bytes === 0 && !this.#isMissedDue() && this.#isSubscriptionLevel();
  }

  /** Takes the subscription as far as one response goes, which is returned; undefined: there is nothing to send. */
  advance(additionsOnly: boolean): Content | undefined {
    const content = this.#advance(additionsOnly) ?? this.#advanceMissed(additionsOnly);
    return additionsOnly || this.#gone.bytes === 0 ? content : this.#withGone(content);
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
    // Names that are gone need not be remembered until they are acknowledged: the client may have made them up.
    const kept = content === this.#withoutGone?.sent ? this.#withoutGone.kept : content;
    this.#withoutGone = undefined;
    const pending = {
      nonce: response.nonce,
      after: this.subscription,
      content: kept,
      current: this.target.set,
    };
    this.acknowledgements = recordSent(this.acknowledgements, pending, at);
    this.counters.pushes += 1;
    this.counters.pushedBytes += response.bytes.length;
    return response;
  }

  /** Does a response with this nonce wait for an answer? */
  awaits(nonce: string): boolean {
    return pendingResponse(this.acknowledgements, nonce) !== undefined;
  }

  /** Takes a later request; true where there may be more to send, and it is not just an answer to a response. */
  receive(request: DeltaRequest | SotwRequest, at: number): boolean {
    const { nonce, error } = request;
    if (nonce !== '') this.#answer(nonce, error, at);
    const before = this.subscription;
    const { pending } = this.acknowledgements;
    if ('subscribe' in request) this.subscription = changeDelta(before, request, pending);
    else if (nonce === '' || nonce === this.#lastNonce) this.subscription = changeSotw(before, request.names);
    return this.subscription !== before || this.#isMissedDue();
  }

  /** Does each response hold all that is subscribed? */
  get #isComplete(): boolean {
    return this.server.protocol === 'sotw' && this.server.fullState;
  }

  #isSubscriptionLevel(): boolean {
    const { level, due, owed, again } = this.subscription;
    return level === this.target.set && due.size === 0 && !owed && !again;
  }

  /** Did the client reject something, and is there something newer by now? */
  #isMissedDue(): boolean {
    const { missed } = this.acknowledgements;
    return missed !== undefined && missed.since !== this.target.set;
  }

  #advance(additionsOnly: boolean): Content | undefined {
    const { server, target, subscription: before } = this;
    const { subscription, content } = server.advance(before, additionsOnly);
    this.subscription = subscription;
    const repeats = this.#isComplete && before.wildcard && this.acknowledgements.missed === undefined;
    this.changed = repeats ? target.difference(before.level).upserts : (content?.upserts ?? []);
    return content;
  }

  /** By themselves, so that what is bad among them does not have the client reject the change, too. */
  #advanceMissed(additionsOnly: boolean): Content | undefined {
    const { missed } = this.acknowledgements;
    if (missed === undefined || !this.#isMissedDue() || !this.#isSubscriptionLevel()) return undefined;
    const { subscription } = this;
    this.subscription =
      missed.names === 'all' ? sendAllAgain(subscription) : sendAgain(subscription, [...missed.names]);
    const content = this.#advance(additionsOnly);
    this.acknowledgements = { ...this.acknowledgements, missed: undefined };
    return content;
  }

  /** Adds names that are gone to the last content of all, or sends them by themselves. */
  #withGone(content: Content | undefined): Content | undefined {
    const { upserts, removals } = content ?? NO_CONTENT;
    if (content !== undefined && !this.#isLast(upserts)) return content;
    const { subscription, target } = this;
    const gone = this.#gone.take(
      (name) => isCovered(subscription, name) && findResource(target.set, name) === undefined,
    );
    if (gone.length === 0) return content;
    const sent = { upserts, removals: [...new Set([...removals, ...gone])] };
    this.#withoutGone = { sent, kept: content ?? NO_CONTENT };
    return sent;
  }

  /** Is nothing left to send beside these resources but names that are gone, for which they leave room? */
  #isLast(upserts: readonly Resource[]): boolean {
    const { level, due } = this.subscription;
    const isLevel = level === this.target.set && due.size === 0;
    return isLevel && sizeOf(upserts) + this.#gone.bytes <= this.target.stepBytes;
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
            refusal: refusalOf(error, response.content),
            complete: this.#isComplete,
            at,
          });
  }
}

const NO_CONTENT: Content = { upserts: [], removals: [] };

const BYTES_PER_REFERENCE = 8;

function bytesOf(content: Content): number {
  const known = BYTES_OF.get(content);
  if (known !== undefined) return known;
  let bytes = content.upserts.length * BYTES_PER_REFERENCE;
  for (const name of content.removals) bytes += name.length + BYTES_PER_NAME;
  BYTES_OF.set(content, bytes);
  return bytes;
}

const BYTES_OF = new WeakMap<Content, number>();
