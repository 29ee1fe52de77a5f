import type { Asker } from '../asker.ts';
import type { QueryReader } from '../query.ts';
import { asksTheSame, isShared, isTransfer } from './flight.ts';
import { answers } from './match.ts';
import type { Server } from './servers.ts';
import type { ServerStream } from './streams.ts';
import { ZoneTransfer } from './zone-transfer.ts';

/** One question under way to the servers by TCP, for all who asked it meanwhile. */
export class StreamFlight {
  /** What the first of them asked. */
  readonly query: QueryReader;
  readonly isQuestion: boolean;
  /** Whether one answer serves all who ask the same. */
  readonly isShared: boolean;
  readonly askers = new Set<Asker>();
  /** Until when something of an answer must have come. */
  readonly untilMs: number;
  /** To all servers that were asked and may still answer. */
  readonly streams = new Set<ServerStream>();
  /** Whether something of an answer has come. */
  isAnswered = false;
  /** How many servers were. */
  asked = 0;
  readonly #servers: readonly Server[];
  readonly #transfer: ZoneTransfer | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `servers`: in the order in which they are to be asked, each once. */
  constructor({ query, isQuestion }: Asker, servers: readonly Server[], untilMs: number) {
    this.query = query;
    this.isQuestion = isQuestion;
    this.isShared = isQuestion && isShared(query);
    this.untilMs = untilMs;
    this.#servers = servers;
    this.#transfer = isTransfer(query) ? new ZoneTransfer(query) : undefined;
  }

  get bytes(): Uint8Array {
    const { data, start, end } = this.query;
    return data.subarray(start, end);
  }

  get mayAskAnother(): boolean {
    return this.#servers.length > this.asked;
  }

  nextServer(): Server | undefined {
    return this.mayAskAnother ? this.#servers[this.asked++] : undefined;
  }

  mayServe({ query, isQuestion }: Asker): boolean {
    return this.isShared && isQuestion && asksTheSame(this.query, query);
  }

  /** Of a zone's messages only the first has to repeat the question (RFC 5936, 2.2.1). */
  isAnsweredBy(message: Uint8Array): boolean {
    const { query, isQuestion, isAnswered, bytes } = this;
    const questionEnd = isQuestion && !isAnswered ? query.questionEnd - query.start : 0;
    return answers(message, { bytes, questionEnd });
  }

  /** Whether nothing follows this message of an answer. */
  isOver(message: Uint8Array): boolean {
    return this.#transfer?.isOver(message) ?? true;
  }

  /** In the place of what was waited for before. */
  wait(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  stopWaiting(): void {
    clearTimeout(this.#timer);
  }

  /** All streams but this one. */
  endOthers(than?: ServerStream): void {
    for (const stream of this.streams) if (stream !== than) this.drop(stream);
  }

  drop(stream: ServerStream): void {
    this.streams.delete(stream);
    stream.end();
  }

  giveUp(): void {
    this.stopWaiting();
    this.endOthers();
  }
}
