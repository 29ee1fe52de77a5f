import { createServer, type Server, type Socket } from 'node:net';
import { surviveAcceptErrors } from '../../process/accept-errors.ts';
import { bindError } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import type { Asker } from './asker.ts';
import type { Count, DnsCounters } from './counters.ts';
import { MessageSplitter, withLength } from './message-splitter.ts';
import { LONGEST_MESSAGE } from './protocol.ts';
import { type Kind, QueryReader } from './query.ts';
import type { Resolver } from './resolver.ts';

const LISTENER = 'the DNS proxy (TCP)';

/** Then no more are taken until some are answered: a few connections must not take all of those to DNS servers. */
const MOST_UNANSWERED = 16;
/** Then no more are taken until the client has read. */
const MOST_UNREAD_BYTES = 65_536;
/** What may come before it is taken, besides what is read at once; then nothing more is read. */
const MOST_UNTAKEN_BYTES = 65_536;
/** What was asked before that may still come, and a whole zone: who reads none of it is closed. */
const MOST_PILED_BYTES = 1 << 20;

export interface TcpLimits {
  /** As many as one workload may need at once; where there are more, those that rest longest are closed. */
  readonly mostConnections: number;
  /** How long a connection may rest, and how long a message may take to arrive (RFC 7766, 6.2.3). */
  readonly idleMs: number;
}

const LIMITS: TcpLimits = { mostConnections: 512, idleMs: 10_000 };

export interface TcpServerOptions {
  readonly resolver: Resolver;
  readonly counters: DnsCounters;
  readonly seed: number;
  readonly limits?: TcpLimits | undefined;
  readonly log?: Logger | undefined;
}

/** Answers what comes by TCP: messages with their length before them, as many on a connection as its client likes. */
export class TcpServer {
  readonly #options: TcpServerOptions;
  readonly #limits: TcpLimits;
  /** Those that rest longest come first. */
  readonly #connections = new Set<Connection>();
  readonly #servers: Server[] = [];

  constructor(options: TcpServerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Rejects with a StartupError. */
  listen(host: string, port: number): Promise<void> {
    // A client that sends no more still reads.
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => reject(bindError(LISTENER, host, port, error));
      server.once('error', fail);
      server.listen({ host, port, ipv6Only: true }, () => {
        server.off('error', fail);
        surviveAcceptErrors(server, LISTENER, this.#options.log);
        resolve();
      });
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const connection of this.#connections) connection.close();
  }

  #accept(socket: Socket): void {
    // What went wrong on it is told by its end.
    socket.on('error', () => socket.destroy());
    if (this.#connections.size >= this.#limits.mostConnections) this.#closeLongestResting();
    const connection = new Connection(socket, this.#options, (rested) => this.#rest(rested));
    this.#connections.add(connection);
    socket.on('close', () => this.#connections.delete(connection));
  }

  #closeLongestResting(): void {
    const [connection] = this.#connections;
    if (connection === undefined) return;
    this.#options.counters.refused++;
    this.#connections.delete(connection);
    connection.close();
  }

  #rest(connection: Connection): number {
    if (this.#connections.delete(connection)) this.#connections.add(connection);
    return this.#limits.idleMs;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #options: TcpServerOptions;
  readonly #query: QueryReader;
  readonly #splitter = new MessageSplitter();
  #unanswered = 0;
  #hasEnded = false;
  #isReading = false;
  /** Called when it begins to rest; returns for how many milliseconds it may. */
  readonly #resting: (connection: Connection) => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: TcpServerOptions, resting: (connection: Connection) => number) {
    this.#resting = resting;
    this.#socket = socket;
    this.#options = options;
    this.#query = new QueryReader(options.seed);
    socket.on('data', (chunk: Buffer) => {
      this.#splitter.add(chunk);
      this.#readOn();
    });
    socket.on('drain', () => this.#readOn());
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#readOn();
    });
    socket.on('close', () => clearTimeout(this.#timer));
    this.#rest();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
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
    this.#rest();
    const now = resolver.now(this.#query, kind, LONGEST_MESSAGE);
    if (now === undefined) resolver.later(this.#asker(kind, sinceMs));
    else this.#reply(now.bytes, now.count, sinceMs);
  }

  #asker(kind: Kind, sinceMs: number): Asker {
    this.#unanswered++;
    const socket = this.#socket;
    return {
      query: this.#query.copy().query,
      isQuestion: kind === 'question',
      source: socket,
      transport: 'tcp',
      limit: LONGEST_MESSAGE,
      aliases: 0,
      get isWaiting() {
        return !socket.destroyed;
      },
      reply: (answer, count, isLast) => {
        this.#reply(answer, count, sinceMs);
        if (isLast) this.#answered();
      },
      ended: () => this.#answered(),
    };
  }

  #reply(answer: Uint8Array, count: Count | undefined, sinceMs: number): void {
    if (count !== undefined) {
      count.value++;
      this.#options.counters.times.observe((performance.now() - sinceMs) / 1000, 1);
    }
    if (this.#socket.writable) this.#socket.write(withLength(answer));
    this.#rest();
    if (this.#socket.writableLength <= MOST_PILED_BYTES) return;
    this.#options.counters.refused++;
    this.close();
  }

  #answered(): void {
    this.#unanswered--;
    this.#readOn();
  }

  /** As far as there is room: neither questions nor answers pile up here. */
  #readOn(): void {
    // What is answered at once comes back here.
    if (this.#isReading) return;
    this.#isReading = true;
    let next: Uint8Array | undefined;
    while (!this.#isFull && (next = this.#splitter.next()) !== undefined) this.#take(next);
    this.#isReading = false;
    // Who has left is noticed only by reading.
    if (this.#isFull && this.#splitter.length > MOST_UNTAKEN_BYTES) this.#socket.pause();
    else this.#socket.resume();
    this.#endWhenDone();
  }

  get #isFull(): boolean {
    const { destroyed, writableLength } = this.#socket;
    return destroyed || this.#unanswered >= MOST_UNANSWERED || writableLength > MOST_UNREAD_BYTES;
  }

  #endWhenDone(): void {
    if (this.#hasEnded && this.#unanswered === 0 && !this.#isFull) this.#socket.end();
  }

  /** Begins anew whenever a whole message has come or gone: bytes one by one don't count. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.#resting(this));
  }
}
