import type { Socket } from 'node:net';
import type { Asker } from './asker.ts';
import type { Count, DnsCounters } from './counters.ts';
import { MessageSplitter, withLength } from './message-splitter.ts';
import { LONGEST_MESSAGE } from './protocol.ts';
import { type Kind, QueryReader } from './query.ts';
import type { Resolver } from './resolver.ts';
import { UnreadWatch } from './unread-watch.ts';

/** Then no more are taken until some are answered. */
const MOST_UNANSWERED = 16;
/** Then no more are taken until the client has read. */
const MOST_UNREAD_BYTES = 65_536;
/** What may come before it is taken, besides what is read at once; then nothing more is read. */
const MOST_UNTAKEN_BYTES = 65_536;

export interface TcpConnectionOptions {
  readonly resolver: Resolver;
  readonly counters: DnsCounters;
  readonly seed: number;
}

/** How long a connection may do nothing for its place. */
export interface TcpTimeouts {
  /** How long it may rest, and how long a message may take to arrive (RFC 7766, 6.2.3). */
  readonly idleMs: number;
  /** How long answers may lie unread. The kernel tells only of a megabyte or so that was read, which may take a while. */
  readonly unreadMs: number;
}

/** Who has the connections. */
export interface TcpConnectionOwner {
  readonly timeouts: TcpTimeouts;
  /** A whole message has come or gone. */
  moved(connection: TcpConnection): void;
  /** So many bytes more are held for it, or fewer. */
  holds(more: number): void;
  closed(connection: TcpConnection): void;
}

/** One client of the DNS proxy by TCP. */
export class TcpConnection {
  /** What is held for it: what it sent and was not taken, what it asks, and answers that it has not read. */
  heldBytes = 0;
  readonly #socket: Socket;
  readonly #options: TcpConnectionOptions;
  readonly #owner: TcpConnectionOwner;
  readonly #query: QueryReader;
  readonly #splitter = new MessageSplitter();
  readonly #unread: UnreadWatch;
  #unanswered = 0;
  #unansweredBytes = 0;
  #hasEnded = false;
  #isReading = false;
  #isClosed = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: TcpConnectionOptions, owner: TcpConnectionOwner) {
    this.#socket = socket;
    this.#options = options;
    this.#owner = owner;
    this.#query = new QueryReader(options.seed);
    this.#unread = new UnreadWatch(socket, owner.timeouts.unreadMs, () => this.turnAway());
    socket.on('data', (chunk: Buffer) => {
      this.#splitter.add(chunk);
      this.#readOn();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#readOn();
    });
    socket.on('close', () => this.close());
    this.#rest();
  }

  /** May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#idle);
    this.#unread.stop();
    this.#socket.destroy();
    this.#splitter.clear();
    this.#options.resolver.left(this.#socket);
    this.#account();
    this.#owner.closed(this);
  }

  /** Because of a limit. */
  turnAway(): void {
    if (this.#isClosed) return;
    this.#options.counters.refused++;
    // Otherwise the kernel keeps what the client does not read.
    this.#socket.resetAndDestroy();
    this.close();
  }

  #take(message: Uint8Array): void {
    const sinceMs = performance.now();
    const { resolver, counters } = this.#options;
    const kind = this.#query.read(message, 0, message.length);
    if (kind === 'ignored') {
      counters.ignored++;
      this.close();
      return;
    }
    const now = resolver.now(this.#query, kind, LONGEST_MESSAGE);
    if (now !== undefined) return this.#reply(now.bytes, now.count, sinceMs);
    resolver.later(this.#asker(kind, sinceMs));
    this.#rest();
  }

  #asker(kind: Kind, sinceMs: number): Asker {
    const { query } = this.#query.copy();
    const bytes = query.end;
    this.#unanswered++;
    this.#unansweredBytes += bytes;
    const socket = this.#socket;
    return {
      query,
      isQuestion: kind === 'question',
      source: socket,
      transport: 'tcp',
      limit: LONGEST_MESSAGE,
      aliases: 0,
      get isWaiting() {
        return !socket.destroyed;
      },
      reply: (answer, count) => {
        this.#unanswered--;
        this.#unansweredBytes -= bytes;
        this.#reply(answer, count, sinceMs);
        this.#readOn();
      },
    };
  }

  #reply(answer: Uint8Array, count: Count, sinceMs: number): void {
    if (this.#isClosed) return;
    count.value++;
    this.#options.counters.times.observe((performance.now() - sinceMs) / 1000, 1);
    if (this.#socket.writable) this.#socket.write(withLength(answer), () => this.#written());
    this.#unread.look();
    this.#account();
    this.#rest();
  }

  /** Some of it went to the kernel, as the client has read. */
  #written(): void {
    if (this.#isClosed || !this.#unread.isWaiting) return;
    this.#unread.look();
    this.#readOn();
  }

  /** As far as there is room: neither questions nor answers pile up here. */
  #readOn(): void {
    // What is answered at once comes back here.
    if (this.#isReading || this.#isClosed) return;
    this.#isReading = true;
    let next: Uint8Array | undefined;
    while (!this.#isFull && (next = this.#splitter.next()) !== undefined) this.#take(next);
    this.#isReading = false;
    this.#account();
    // Who has left is noticed only by reading.
    if (this.#isFull && this.#splitter.length > MOST_UNTAKEN_BYTES) this.#socket.pause();
    else this.#socket.resume();
    this.#endWhenDone();
  }

  get #isFull(): boolean {
    const hasUnread = this.#socket.writableLength > MOST_UNREAD_BYTES;
    return this.#isClosed || this.#unanswered >= MOST_UNANSWERED || hasUnread;
  }

  #endWhenDone(): void {
    if (this.#hasEnded && this.#unanswered === 0 && !this.#isFull) this.#socket.end();
  }

  #account(): void {
    const { heldBytes } = this;
    this.heldBytes = this.#isClosed
      ? 0
      : this.#splitter.heldBytes + this.#unansweredBytes + this.#socket.writableLength;
    this.#owner.holds(this.heldBytes - heldBytes);
  }

  /** Begins anew whenever a whole message has come or gone: bytes one by one don't count. Nobody rests who waits. */
  #rest(): void {
    clearTimeout(this.#idle);
    if (this.#isClosed) return;
    this.#owner.moved(this);
    if (this.#unanswered === 0) this.#idle = setTimeout(() => this.close(), this.#owner.timeouts.idleMs);
  }
}
