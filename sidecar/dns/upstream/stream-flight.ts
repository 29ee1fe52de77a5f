import type { Asker } from '../asker.ts';
import type { QueryReader } from '../query.ts';
import { asksTheSame, isShared } from './flight.ts';
import { answers } from './match.ts';
import type { Server } from './servers.ts';
import type { ServerStream } from './streams.ts';

/** One question under way to the servers by TCP, for all who asked it meanwhile. */
export class StreamFlight {
  /** What the first of them asked. */
  readonly query: QueryReader;
  readonly isQuestion: boolean;
  /** Whether one answer serves all who ask the same. */
  readonly isShared: boolean;
  readonly askers = new Set<Asker>();
  /** Until when an answer must have come. */
  readonly untilMs: number;
  /** To all servers that were asked and may still answer. */
  readonly streams = new Set<ServerStream>();
  /** How many servers were. */
  asked = 0;
  readonly #servers: readonly Server[];
  #timer: NodeJS.Timeout | undefined;

  /** `servers`: in the order in which they are to be asked, each once. */
  constructor({ query, isQuestion }: Asker, servers: readonly Server[], untilMs: number) {
    this.query = query;
    this.isQuestion = isQuestion;
    this.isShared = isQuestion && isShared(query);
    this.untilMs = untilMs;
    this.#servers = servers;
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

  isAnsweredBy(message: Uint8Array): boolean {
    const { query, isQuestion, bytes } = this;
    return answers(message, { bytes, questionEnd: isQuestion ? query.questionEnd - query.start : 0 });
  }

  /** In the place of what was waited for before. */
  wait(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  drop(stream: ServerStream): void {
    this.streams.delete(stream);
    stream.end();
  }

  giveUp(): void {
    clearTimeout(this.#timer);
    for (const stream of this.streams) this.drop(stream);
  }
}
