import type { Asker } from '../asker.ts';
import { CLASS_IN, FLAG, HEADER_BYTES, RCODE, TYPE, uint16 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import type { Server } from './servers.ts';
import type { Cancel, Outgoing } from './sockets.ts';

/** What a flight does with how it goes; one for all. */
export interface FlightOwner {
  answered(flight: Flight, answer: Uint8Array): void;
  failed(flight: Flight): void;
}

/** One question under way to the servers, for all who asked it meanwhile. */
export class Flight implements Outgoing {
  /** A copy: what the first asker asked, byte for byte but for the id. */
  readonly bytes: Uint8Array;
  readonly query: QueryReader;
  readonly questionEnd: number;
  readonly isQuestion: boolean;
  /** Whether one answer serves all who ask the same. */
  readonly isShared: boolean;
  readonly askers: Asker[] = [];
  readonly asked: Server[] = [];
  attemptMs = 0;
  cancel: Cancel | undefined;
  readonly #owner: FlightOwner;

  constructor(query: QueryReader, isQuestion: boolean, owner: FlightOwner) {
    this.query = query;
    this.bytes = query.data.slice(query.start, query.end);
    this.isQuestion = isQuestion;
    this.isShared = isQuestion && isShared(query);
    this.questionEnd = isQuestion ? HEADER_BYTES + query.questionEnd - query.nameStart : 0;
    this.#owner = owner;
  }

  get server(): Server | undefined {
    return this.asked.at(-1);
  }

  answered(answer: Uint8Array): void {
    this.cancel = undefined;
    this.#owner.answered(this, answer);
  }

  failed(_code: string): void {
    this.cancel = undefined;
    this.#owner.failed(this);
  }

  /** No longer waits for the server that was asked last. */
  giveUp(): void {
    this.cancel?.();
    this.cancel = undefined;
  }
}

/** Whether one answer serves all who ask the same: cookies and the like are between two. */
export function isShared(query: QueryReader): boolean {
  return query.class === CLASS_IN && !query.hasOptions && !isTransfer(query);
}

/** Whether its answer is a whole zone, in many messages. */
export function isTransfer({ type }: QueryReader): boolean {
  return type === TYPE.AXFR || type === TYPE.IXFR;
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
