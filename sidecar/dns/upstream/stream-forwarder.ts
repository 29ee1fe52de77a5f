import type { Asker } from '../asker.ts';
import { asksTheSame, isShared, isTransfer } from './flight.ts';
import { rcodeOf, type Replies, reply, typeOf } from './replies.ts';
import type { Server } from './servers.ts';
import { askByStream, isAnswerTo } from './streams.ts';
import type { Surroundings } from './surroundings.ts';

const MOST_STREAMS = 256;

/** For who comes by TCP: it was told to, or wants more than one message, and gets the server's own, all of them. */
export class StreamForwarder {
  readonly #around: Surroundings;
  readonly #replies: Replies;
  /** The one that was opened longest ago first. */
  readonly #streams = new Set<Stream>();
  #isClosed = false;

  constructor(around: Surroundings, replies: Replies) {
    this.#around = around;
    this.#replies = replies;
  }

  /** Answers the asker in the end, whatever happens. */
  forward(asker: Asker): void {
    const same = this.#streams.values().find((stream) => stream.mayServe(asker));
    if (same === undefined) this.#ask(new Stream(asker));
    else same.askers.push(asker);
  }

  close(): void {
    this.#isClosed = true;
    for (const { end } of this.#streams) end();
  }

  #ask(stream: Stream): void {
    const { servers, now, counters } = this.#around;
    if (this.#streams.size >= MOST_STREAMS) this.#makeRoom();
    const server = servers.next(stream.asked, now());
    if (server === undefined || this.#streams.size >= MOST_STREAMS || this.#isClosed)
      return this.#refuse(stream);
    stream.asked.push(server);
    this.#streams.add(stream);
    stream.end = askByStream(server.address, stream.query, {
      message: (message) => {
        if (!isAnswerTo(stream.first, message, !stream.isAnswered)) {
          counters.mismatched++;
          return;
        }
        server.answered();
        this.#relay(stream, message);
        if (stream.isWhole || !stream.isWaitedFor) stream.end();
      },
      ended: () => {
        // Whoever had to make room has been answered.
        if (!this.#streams.delete(stream)) return;
        if (!stream.isAnswered && stream.isWaitedFor) this.#failed(stream, server);
        else if (!stream.isWhole) for (const asker of stream.askers) asker.ended();
      },
    });
  }

  /** Those that nobody waits for go first, then the one that was asked longest ago; a zone is let come to its end. */
  #makeRoom(): void {
    const deserted = [...this.#streams].filter(({ isWaitedFor }) => !isWaitedFor);
    for (const stream of deserted) this.#drop(stream);
    const oldest = this.#streams.values().find(({ isAnswered }) => !isAnswered);
    if (deserted.length > 0 || oldest === undefined) return;
    this.#drop(oldest);
    this.#refuse(oldest);
  }

  #drop(stream: Stream): void {
    this.#streams.delete(stream);
    stream.end();
  }

  #refuse({ askers }: Stream): void {
    for (const asker of askers) this.#replies.refuse(asker);
  }

  /** Others are asked, each once. */
  #failed(stream: Stream, server: Server): void {
    const { servers, now, counters } = this.#around;
    server.failed(now());
    if (servers.all.length > stream.asked.length) {
      counters.retries++;
      return this.#ask(stream);
    }
    if (stream.isShared && this.#replies.stale(stream.askers)) return;
    for (const asker of stream.askers) this.#replies.fail(asker);
  }

  #relay(stream: Stream, message: Uint8Array): void {
    const { cache, counters } = this.#around;
    const { askers, first, isShared: isForAll, isAnswered } = stream;
    if (isForAll) cache.store(first.query, message);
    stream.isWhole = first.isQuestion && !isTransfer(first.query);
    stream.isAnswered = true;
    const count = isAnswered ? undefined : counters.of(typeOf(first), 'upstream', rcodeOf(message));
    if (isForAll) for (const asker of askers) reply(asker, message, count);
    else first.reply(message, count, stream.isWhole);
  }
}

/** One question under way to a server by TCP, for all who asked it meanwhile. */
class Stream {
  /** Whose question it is, byte for byte. */
  readonly first: Asker;
  readonly askers: Asker[];
  readonly asked: Server[] = [];
  /** Whether one answer serves all who ask the same. */
  readonly isShared: boolean;
  /** Whether something of an answer has come, and whether nothing follows. */
  isAnswered = false;
  isWhole = false;
  end: () => void = () => {};

  constructor(asker: Asker) {
    this.first = asker;
    this.askers = [asker];
    this.isShared = asker.isQuestion && isShared(asker.query);
  }

  get query(): Uint8Array {
    const { data, start, end } = this.first.query;
    return data.slice(start, end);
  }

  get isWaitedFor(): boolean {
    return this.askers.some(({ isWaiting }) => isWaiting);
  }

  mayServe({ query, isQuestion }: Asker): boolean {
    return this.isShared && !this.isAnswered && isQuestion && asksTheSame(this.first.query, query);
  }
}
