import type { Logger } from '../../process/log.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { listenTcp, type TcpListener, type TcpStream } from '../net/tcp.ts';
import { RateLimitedLog } from '../../process/rate-limited-log.ts';
import type { Answer } from './answer.ts';
import type { MessageCounters } from './counters.ts';
import { HeldMemory } from './held-memory.ts';
import { Lingering } from './lingering.ts';
import { lingeringBeside, type MessageLimits, tickMs } from './limits.ts';
import { dotted, type Message } from './protocol.ts';
import { Round } from './round.ts';
import { Senders } from './senders.ts';
import { Session, type SessionSurroundings } from './session.ts';

const SHORTEST_READ_BYTES = 1024;
const LONGEST_READ_BYTES = 64 * 1024;

/** Who finds out what becomes of a message. Never rejects. */
export type Deliver = (message: Message, from: string) => Promise<Answer>;

export interface MessageApiOptions {
  readonly deliver: Deliver;
  readonly limits: MessageLimits;
  readonly counters: MessageCounters;
  readonly log: Logger;
  /** Of its own where it is left out. */
  readonly memory?: HeldMemory;
}

/** Talks with those who send messages, on connections that others accepted or that it accepts itself. */
export class MessageApi implements SessionSurroundings {
  readonly limits: MessageLimits;
  readonly counters: MessageCounters;
  readonly memory: HeldMemory;
  readonly round = new Round();
  readonly readBuffer: Buffer;
  readonly #deliver: Deliver;
  readonly #log: Logger;
  readonly #warnings = new RateLimitedLog();
  readonly #sessions = new Senders();
  /** The oldest first. */
  readonly #lingering = new Set<Lingering>();
  readonly #listeners = new Set<TcpListener>();
  /** Only while there are connections. */
  #timer: NodeJS.Timeout | undefined;
  #allEnded: PromiseWithResolvers<void> | undefined;

  constructor({ deliver, limits, counters, log, memory }: MessageApiOptions) {
    this.limits = limits;
    this.memory = memory ?? new HeldMemory(limits.heldBytes);
    this.memory.spares = () => this.#sessions.byBegunLine();
    this.readBuffer = Buffer.allocUnsafeSlow(readBytes(limits));
    this.counters = counters;
    this.#deliver = deliver;
    this.#log = log;
  }

  get openConnections(): number {
    return this.#sessions.size + this.#lingering.size;
  }

  /** Of somebody who connected to talk with this sidecar. */
  take(stream: TcpStream): void {
    const session = new Session(stream, this);
    const { maxConnections } = this.limits;
    const isFull = this.#sessions.size >= maxConnections;
    const spare = isFull ? this.#sessions.spareFor(session.from) : undefined;
    this.#sessions.add(session);
    this.#timer ??= this.#startTimer();
    this.counters.connections++;
    this.#boundLingering();
    session.start();
    if (isFull) (spare ?? session).turnAway(tooMany(maxConnections, spare !== undefined));
  }

  /** The address, or the name of the errno. `::` is IPv6 alone, so that no sender's address is an IPv4-mapped one. */
  listen({ address, port }: SocketAddress): SocketAddress | string {
    const acceptor = {
      accepted: (stream: TcpStream) => this.take(stream),
      acceptFailed: (code: string) => {
        const message = 'Could not accept a connection for messages.';
        this.#warnings.warn(this.#log, { message, reason: code, fields: {} });
      },
    };
    const result = listenTcp({ address, port, ipv6Only: true }, acceptor);
    if (!result.ok) return result.code;
    this.#listeners.add(result.listener);
    return result.listener.address;
  }

  async handle(message: Message, from: string): Promise<Answer> {
    const startedAtMs = performance.now();
    const answer = await this.#deliver(message, from);
    this.counters.times.observe((performance.now() - startedAtMs) / 1_000);
    return answer;
  }

  answered(session: Session, service: string, { outcome, detail }: Answer): void {
    this.counters.outcomes[outcome]++;
    if (outcome === 'delivered' || outcome === 'received') return;
    const fields = { service: dotted(service), from: session.from, detail };
    this.#warnings.warn(this.#log, { message: 'A message was not delivered.', reason: outcome, fields });
  }

  ended(session: Session, unclosed?: TcpStream): void {
    this.#sessions.delete(session);
    if (unclosed !== undefined) {
      const ended = (lingering: Lingering): void => {
        this.#lingering.delete(lingering);
        this.#resolveIfAllEnded();
      };
      this.#lingering.add(new Lingering(unclosed, this.readBuffer, ended));
    }
    this.#resolveIfAllEnded();
  }

  /** Takes nothing more, waits until all is answered that was taken, up to the limit, and resets what is left. */
  async drain(limitMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
    for (const session of this.#sessions) session.finish();
    if (this.openConnections > 0) {
      const limit = setTimeout(() => this.#abortAll(), limitMs);
      this.#allEnded = Promise.withResolvers();
      await this.#allEnded.promise;
      clearTimeout(limit);
    }
    this.#stopTimer();
  }

  #abortAll(): void {
    for (const session of this.#sessions) session.abort();
    for (const lingering of this.#lingering) lingering.close();
  }

  #resolveIfAllEnded(): void {
    if (this.openConnections === 0) this.#allEnded?.resolve();
  }

  /** Those that are open already may all be told to end at one time; more than that would cost descriptors. */
  #boundLingering(): void {
    const most = lingeringBeside(this.limits.maxConnections);
    for (const lingering of this.#lingering) {
      if (this.#lingering.size <= most) break;
      lingering.close();
    }
  }

  #startTimer(): NodeJS.Timeout {
    const { lineTimeoutMs, idleTimeoutMs, unreadTimeoutMs, lingerMs } = this.limits;
    return setInterval(
      () => this.#tick(),
      tickMs(lineTimeoutMs, idleTimeoutMs, unreadTimeoutMs, lingerMs),
    ).unref();
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions) session.tick(nowMs);
    for (const lingering of this.#lingering) lingering.tick(nowMs, this.limits.lingerMs);
    if (this.openConnections === 0) this.#stopTimer();
  }
}

/**
 * Whatever was read at one time may wait to be taken. On all connections together that is half of what may be held:
 * the other half is left for messages and answers.
 */
function readBytes({ heldBytes, maxConnections }: MessageLimits): number {
  const share = Math.floor(heldBytes / 2 / maxConnections);
  return Math.max(SHORTEST_READ_BYTES, Math.min(LONGEST_READ_BYTES, share));
}

function tooMany(most: number, isSpare: boolean): string {
  const why = isSpare ? ', and this one made room: your address has more than any other' : '';
  return `${most} connections are open for messages, the most allowed${why}.`;
}
