import type { Asker } from '../asker.ts';
import { isShared, isTransfer } from './flight.ts';
import { rcodeOf, type Replies, typeOf } from './replies.ts';
import type { Server } from './servers.ts';
import { askByStream, isAnswerTo } from './streams.ts';
import type { Surroundings } from './surroundings.ts';

const MOST_STREAMS = 128;

/** For who comes by TCP: it was told to, or wants more than one message, and gets the server's own, all of them. */
export class StreamForwarder {
  readonly #around: Surroundings;
  readonly #replies: Replies;
  /** How to end each, and whom it is for. */
  readonly #streams = new Map<() => void, Asker>();
  #isClosed = false;

  constructor(around: Surroundings, replies: Replies) {
    this.#around = around;
    this.#replies = replies;
  }

  /** Answers the asker in the end, whatever happens. */
  forward(asker: Asker): void {
    this.#ask(asker, []);
  }

  close(): void {
    this.#isClosed = true;
    for (const end of this.#streams.keys()) end();
  }

  #ask(asker: Asker, asked: readonly Server[]): void {
    const { servers, now, counters } = this.#around;
    if (this.#streams.size >= MOST_STREAMS) this.#endDeserted();
    const server = servers.next(asked, now());
    if (server === undefined || this.#streams.size >= MOST_STREAMS || this.#isClosed)
      return this.#replies.refuse(asker);
    const { query } = asker;
    let isAnswered = false;
    let isWhole = false;
    const end = askByStream(server.address, query.data.slice(query.start, query.end), {
      message: (message) => {
        if (!isAnswerTo(asker, message, !isAnswered)) {
          counters.mismatched++;
          return;
        }
        server.answered();
        isWhole = this.#relay(asker, message, !isAnswered);
        isAnswered = true;
        if (isWhole || !asker.isWaiting) end();
      },
      ended: () => {
        this.#streams.delete(end);
        if (!isAnswered && asker.isWaiting) this.#failed(asker, [...asked, server]);
        else if (!isWhole) asker.ended();
      },
    });
    this.#streams.set(end, asker);
  }

  /** Those that nobody waits for any more. */
  #endDeserted(): void {
    for (const [end, asker] of this.#streams) {
      if (asker.isWaiting) continue;
      this.#streams.delete(end);
      end();
    }
  }

  /** Others are asked, each once. */
  #failed(asker: Asker, asked: readonly Server[]): void {
    const { servers, now, counters } = this.#around;
    asked.at(-1)?.failed(now());
    if (servers.all.length > asked.length) {
      counters.retries++;
      return this.#ask(asker, asked);
    }
    const isStale = asker.isQuestion && isShared(asker.query) && this.#replies.stale([asker]);
    if (!isStale) this.#replies.fail(asker);
  }

  /** Whether that was all. */
  #relay(asker: Asker, message: Uint8Array, isFirst: boolean): boolean {
    const { query, isQuestion } = asker;
    const isLast = isQuestion && !isTransfer(query);
    if (isFirst && isLast && isShared(query)) this.#around.cache.store(query, message);
    const count = this.#around.counters.of(typeOf(asker), 'upstream', rcodeOf(message));
    asker.reply(message, isFirst ? count : undefined, isLast);
    return isLast;
  }
}
