import type { Asker } from '../asker.ts';
import { CLASS_IN, FLAG, RCODE, uint16 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import type { Server } from './servers.ts';
import type { Cancel, Outgoing } from './sockets.ts';

/** What becomes of attempts; one for all. */
export interface AttemptOwner {
  answered(attempt: Attempt, answer: Uint8Array): void;
  failed(attempt: Attempt): void;
}

/** One question under way to the servers, for all who asked it meanwhile. */
export class Flight {
  readonly query: QueryReader;
  readonly isQuestion: boolean;
  /** Whether one answer serves all who ask the same. */
  readonly isShared: boolean;
  readonly askers: Asker[] = [];
  /** All are waited for until one is answered: a slow server's answer is as good as a quick one's. */
  readonly attempts: Attempt[] = [];
  /** Servers that did not answer this in time. */
  readonly blamed = new Set<Server>();

  constructor(query: QueryReader, isQuestion: boolean) {
    this.query = query;
    this.isQuestion = isQuestion;
    this.isShared = isQuestion && isShared(query);
  }

  get latest(): Attempt | undefined {
    return this.attempts.at(-1);
  }

  /** When the first server was asked. */
  get sinceMs(): number {
    return this.attempts[0]?.sinceMs ?? Infinity;
  }

  get asked(): readonly Server[] {
    return this.attempts.map(({ server }) => server);
  }

  /** No longer waits for any server. */
  giveUp(): void {
    for (const attempt of this.attempts) attempt.giveUp();
  }
}

/** A flight's question as it was put to one server, once. */
export class Attempt implements Outgoing {
  readonly flight: Flight;
  readonly server: Server;
  readonly sinceMs: number;
  /** What the first asker asked, byte for byte but for the id, which is another each time: a copy of its own. */
  readonly bytes: Uint8Array;
  readonly #owner: AttemptOwner;
  #cancel: Cancel | undefined;

  constructor(flight: Flight, server: Server, { sinceMs, owner }: { sinceMs: number; owner: AttemptOwner }) {
    const { data, start, end } = flight.query;
    this.flight = flight;
    this.server = server;
    this.sinceMs = sinceMs;
    this.bytes = data.slice(start, end);
    this.#owner = owner;
  }

  get questionEnd(): number {
    const { isQuestion, query } = this.flight;
    return isQuestion ? query.questionEnd - query.start : 0;
  }

  send(): void {
    const sent = this.server.sockets.send(this);
    if (typeof sent === 'string') this.failed();
    else this.#cancel = sent;
  }

  answered(answer: Uint8Array): void {
    this.#cancel = undefined;
    this.#owner.answered(this, answer);
  }

  failed(): void {
    this.#cancel = undefined;
    this.#owner.failed(this);
  }

  giveUp(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** Whether one answer serves all who ask the same: cookies and the like are between two. */
export function isShared(query: QueryReader): boolean {
  return query.class === CLASS_IN && !query.hasOptions;
}

/** Whether another server may know better. */
export function isRefusal(answer: Uint8Array): boolean {
  const rcode = uint16(answer, 2) & FLAG.RCODE;
  return rcode === RCODE.SERVFAIL || rcode === RCODE.REFUSED;
}

/** The letters' case included: an answer repeats it, and the records in it may. */
export function asksTheSame(one: QueryReader, other: QueryReader): boolean {
  const length = one.end - one.start;
  if (length !== other.end - other.start) return false;
  for (let at = 2; at < length; at++) {
    if (one.data[one.start + at] !== other.data[other.start + at]) return false;
  }
  return true;
}
