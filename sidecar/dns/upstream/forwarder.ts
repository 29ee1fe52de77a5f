import { type Asker, within } from '../asker.ts';
import type { Count, DnsCounters } from '../counters.ts';
import { FLAG, RCODE, uint16 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import { addressTo, emptyAnswer } from '../writer.ts';
import type { AnswerCache, Cached } from './cache.ts';
import { asksTheSame, Flight, type FlightOwner, isRefusal, isShared, isTransfer } from './flight.ts';
import type { Server, Servers } from './servers.ts';
import { askByStream, isAnswerTo } from './streams.ts';
import { Waiting } from './waiting.ts';

/** How long a server may take before the next is asked, or the same again. */
const ATTEMPT_MS = 1_000;
/** Within what resolvers wait, which is 5 s as a rule. */
const MOST_ATTEMPTS = 4;
const SWEEP_MS = 50;

/** Those that nobody waits for count as well. */
const MOST_FLIGHTS = 8_192;
const MOST_STREAMS = 128;
/** What is asked by UDP and is longer is no query of a resolver. */
const LONGEST_QUERY = 4_096;

export interface ForwarderOptions {
  readonly servers: Servers;
  readonly cache: AnswerCache;
  readonly counters: DnsCounters;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

/** Asks servers what the table does not know, and gives on their answers as they are. */
export class Forwarder implements FlightOwner {
  readonly #options: ForwarderOptions;
  /** In the order in which their time is up: all have the same. */
  readonly #flights = new Set<Flight>();
  /** Those whose answer serves whoever asks the same. */
  readonly #shared = new Map<number, Flight>();
  readonly #waiting = new Waiting();
  /** How to end each, and whom it is for. */
  readonly #streams = new Map<() => void, Asker>();
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  get flightCount(): number {
    return this.#flights.size;
  }

  get waitingCount(): number {
    return this.#waiting.count;
  }

  /** Of the queries of those who wait. */
  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  /** From the cache, to be sent at once. */
  cached(query: QueryReader): Cached | undefined {
    return isShared(query) ? this.#options.cache.find(query) : undefined;
  }

  /** Asks again, for the cache alone, what is about to expire. */
  prefetch(query: QueryReader): void {
    if (this.#isFull || this.#isClosed || this.#sharedFlight(query) !== undefined) return;
    this.#options.counters.prefetches++;
    this.#launch(query.copy().query, true);
  }

  /** Answers the asker in the end, whatever happens. */
  forward(asker: Asker): void {
    const { query, isQuestion } = asker;
    if (asker.transport === 'tcp') return this.#forwardStream(asker);
    if (this.#isTooMuch(asker)) return this.#refuse(asker);
    this.#makeRoom();
    const isSharing = isQuestion && isShared(query);
    const flight = isSharing ? this.#sharedFlight(query) : undefined;
    if (flight !== undefined) return this.#join(flight, asker);
    const isStale = isSharing && this.#options.servers.areDown && this.#replyStale([asker]);
    this.#launch(query, isQuestion, isStale ? undefined : asker);
  }

  answered(flight: Flight, answer: Uint8Array): void {
    const { servers, cache, counters } = this.#options;
    flight.server?.answered();
    const mayAskAnother = servers.all.length > flight.asked.length;
    if (isRefusal(answer) && mayAskAnother) return this.#attempt(flight);
    this.#end(flight);
    if (isRefusal(answer) && this.#endStale(flight)) return;
    if (flight.isShared) cache.store(flight.query, answer);
    const count = counters.of(typeOf(flight), 'upstream', rcodeOf(answer));
    for (const asker of this.#leave(flight)) reply(asker, answer, count);
  }

  failed(flight: Flight): void {
    const { servers, now } = this.#options;
    flight.server?.failed(now());
    // Nobody listens there: another is asked at once, the same one when its time is up.
    if (servers.all.length > flight.asked.length) this.#attempt(flight);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    this.#options.servers.close();
    for (const end of this.#streams.keys()) end();
    this.#flights.clear();
    this.#shared.clear();
  }

  get #isFull(): boolean {
    return this.#flights.size >= MOST_FLIGHTS || this.#waiting.isFull;
  }

  #isTooMuch(asker: Asker): boolean {
    const { start, end } = asker.query;
    return this.#isClosed || end - start > LONGEST_QUERY || this.#waiting.hasEnough(asker);
  }

  /** What was sent longest ago goes first: servers that answer at all answer sooner than a flood gets round to it. */
  #makeRoom(): void {
    for (const flight of this.#flights) {
      if (!this.#isFull) return;
      this.#options.counters.refused += flight.askers.length;
      this.#fail(flight);
    }
  }

  #sharedFlight(query: QueryReader): Flight | undefined {
    const flight = this.#shared.get(query.hashWithRest());
    return flight !== undefined && asksTheSame(flight.query, query) ? flight : undefined;
  }

  #join(flight: Flight, asker: Asker): void {
    this.#waiting.add(asker);
    flight.askers.push(asker);
  }

  /** Those who waited for it: whoever calls answers them. */
  #leave(flight: Flight): readonly Asker[] {
    const askers = flight.askers.splice(0);
    for (const asker of askers) this.#waiting.remove(asker);
    return askers;
  }

  #launch(query: QueryReader, isQuestion: boolean, asker?: Asker): void {
    const flight = new Flight(query, isQuestion, this);
    if (asker !== undefined) this.#join(flight, asker);
    if (flight.isShared) this.#shared.set(query.hashWithRest(), flight);
    this.#attempt(flight);
  }

  #attempt(flight: Flight): void {
    const { servers, now, counters } = this.#options;
    flight.giveUp();
    const nowMs = now();
    const server = servers.next(flight.asked, nowMs);
    if (server === undefined || flight.asked.length >= MOST_ATTEMPTS) return this.#fail(flight);
    if (flight.asked.length > 0) counters.retries++;
    flight.asked.push(server);
    flight.attemptMs = nowMs;
    this.#flights.delete(flight);
    this.#flights.add(flight);
    this.#sweep ??= setInterval(() => this.#retryOverdue(), SWEEP_MS);
    const sent = server.sockets.send(flight);
    if (typeof sent === 'string') flight.failed(sent);
    else flight.cancel = sent;
  }

  #retryOverdue(): void {
    const { now } = this.#options;
    const nowMs = now();
    for (const flight of this.#flights) {
      if (nowMs - flight.attemptMs < ATTEMPT_MS) break;
      flight.server?.failed(nowMs);
      this.#endStale(flight);
      this.#attempt(flight);
    }
    if (this.#flights.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #fail(flight: Flight): void {
    this.#end(flight);
    if (this.#endStale(flight)) return;
    for (const asker of this.#leave(flight)) this.#replyOwn(asker, RCODE.SERVFAIL);
  }

  #end(flight: Flight): void {
    flight.giveUp();
    this.#flights.delete(flight);
    const key = flight.isShared ? flight.query.hashWithRest() : -1;
    if (this.#shared.get(key) === flight) this.#shared.delete(key);
  }

  /** Nobody waits for it any more, where an answer past its time is there. */
  #endStale(flight: Flight): boolean {
    if (!flight.isShared || !this.#replyStale(flight.askers)) return false;
    this.#leave(flight);
    return true;
  }

  /** Whether there was something to reply. */
  #replyStale(askers: readonly Asker[]): boolean {
    const [first] = askers;
    if (first === undefined || this.#options.cache.findStale(first.query) === undefined) return false;
    for (const asker of askers) {
      const stale = this.#options.cache.findStale(asker.query);
      if (stale !== undefined) reply(asker, stale.bytes, stale.count);
    }
    return true;
  }

  #refuse(asker: Asker): void {
    this.#options.counters.refused++;
    this.#replyOwn(asker, RCODE.SERVFAIL);
  }

  #replyOwn(asker: Asker, rcode: number): void {
    const { query, isQuestion } = asker;
    const count = this.#options.counters.of(typeOf(asker), 'sidecar', rcode);
    asker.reply(emptyAnswer(query, rcode, isQuestion), count, true);
  }

  /** Who comes by TCP was told to, or wants more than one message: it gets the server's own, all of them. */
  #forwardStream(asker: Asker, asked: readonly Server[] = []): void {
    const { servers, now, counters } = this.#options;
    if (this.#streams.size >= MOST_STREAMS) this.#endDeserted();
    const server = servers.next(asked, now());
    if (server === undefined || this.#streams.size >= MOST_STREAMS || this.#isClosed)
      return this.#refuse(asker);
    const { query } = asker;
    let isAnswered = false;
    const end = askByStream(server.address, query.data.slice(query.start, query.end), {
      message: (message) => {
        if (!isAnswerTo(asker, message, !isAnswered)) {
          counters.mismatched++;
          return;
        }
        server.answered();
        const isLast = this.#relay(asker, message, !isAnswered);
        isAnswered = true;
        if (isLast || !asker.isWaiting) end();
      },
      ended: () => {
        this.#streams.delete(end);
        if (!isAnswered && asker.isWaiting) this.#streamFailed(asker, [...asked, server]);
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
  #streamFailed(asker: Asker, asked: readonly Server[]): void {
    const { servers, now, counters } = this.#options;
    asked.at(-1)?.failed(now());
    if (servers.all.length > asked.length) {
      counters.retries++;
      return this.#forwardStream(asker, asked);
    }
    const isStale = asker.isQuestion && isShared(asker.query) && this.#replyStale([asker]);
    if (!isStale) this.#replyOwn(asker, RCODE.SERVFAIL);
  }

  /** Whether that was all. */
  #relay(asker: Asker, message: Uint8Array, isFirst: boolean): boolean {
    const { query, isQuestion } = asker;
    const isLast = isQuestion && !isTransfer(query);
    if (isFirst && isLast && isShared(query)) this.#options.cache.store(query, message);
    const count = this.#options.counters.of(typeOf(asker), 'upstream', rcodeOf(message));
    asker.reply(message, isFirst ? count : undefined, isLast);
    return isLast;
  }
}

function reply(asker: Asker, answer: Uint8Array, count: Count): void {
  const { query, isQuestion } = asker;
  const repeatsQuestion = isQuestion && uint16(answer, 4) === 1;
  if (repeatsQuestion) addressTo(answer, query);
  else answer.set(query.data.subarray(query.start, query.start + 2));
  asker.reply(repeatsQuestion ? within(answer, asker) : answer, count, true);
}

function typeOf({ query, isQuestion }: Pick<Asker, 'query' | 'isQuestion'>): number {
  return isQuestion ? query.type : 0;
}

function rcodeOf(answer: Uint8Array): number {
  return uint16(answer, 2) & FLAG.RCODE;
}
