import type { Asker } from '../asker.ts';
import type { QueryReader } from '../query.ts';
import type { Cached } from './cache.ts';
import { asksTheSame, Attempt, type AttemptOwner, Flight, isRefusal, isShared } from './flight.ts';
import { rcodeOf, Replies, reply, typeOf } from './replies.ts';
import { StreamForwarder } from './stream-forwarder.ts';
import type { Surroundings } from './surroundings.ts';
import { ANSWER_MS, ATTEMPT_MS } from './times.ts';
import { Waiting } from './waiting.ts';

const MOST_ATTEMPTS = 4;
const SWEEP_MS = 50;
/** What a server's socket holds as a rule (`net.core.rmem_default`): more at once pushes out what others ask. */
const RETRIES_A_SWEEP = 256;

/** Those that nobody waits for count as well. */
const MOST_FLIGHTS = 8_192;
/** What is asked by UDP and is longer is no query of a resolver. */
const LONGEST_QUERY = 4_096;

/** Asks servers what the table does not know, and gives on their answers as they are. */
export class Forwarder implements AttemptOwner {
  readonly #around: Surroundings;
  /** Those whose server was asked longest ago come first. */
  readonly #flights = new Set<Flight>();
  /** Those whose answer serves whoever asks the same. */
  readonly #shared = new Map<number, Flight>();
  readonly #waiting = new Waiting();
  readonly #replies: Replies;
  readonly #streams: StreamForwarder;
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#replies = new Replies(around);
    this.#streams = new StreamForwarder(around, this.#replies);
  }

  /** Questions under way to servers, by UDP and TCP. */
  get flightCount(): number {
    return this.#flights.size + this.#streams.flightCount;
  }

  get waitingCount(): number {
    return this.#waiting.count + this.#streams.waitingCount;
  }

  /** Of the queries of those who wait by UDP. */
  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  /** From the cache, to be sent at once. */
  cached(query: QueryReader): Cached | undefined {
    return isShared(query) ? this.#around.cache.find(query) : undefined;
  }

  /** Answers the asker in the end, whatever happens. */
  forward(asker: Asker): void {
    const { query, isQuestion } = asker;
    if (asker.transport === 'tcp') return this.#streams.forward(asker);
    if (this.#isTooMuch(asker)) return this.#replies.refuse(asker);
    this.#makeRoom();
    const isSharing = isQuestion && isShared(query);
    const isStale = this.#replies.staleAtOnce(asker);
    const flight = isSharing ? this.#sharedFlight(query) : undefined;
    if (flight === undefined) this.#launch(query, isQuestion, isStale ? undefined : asker);
    else if (!isStale) this.#join(flight, asker);
  }

  /** A connection is gone: nobody waits there any more. */
  left(source: Asker['source']): void {
    this.#streams.left(source);
  }

  answered(attempt: Attempt, answer: Uint8Array): void {
    const { servers, cache, counters, now } = this.#around;
    const { flight, server } = attempt;
    server.answered();
    servers.answeredMs = now();
    if (isRefusal(answer)) {
      // Another has been asked since, and may know better.
      if (attempt !== flight.latest) return;
      if (this.#mayAskAnother(flight)) return this.#attempt(flight);
    }
    this.#end(flight);
    if (isRefusal(answer) && this.#endStale(flight)) return;
    if (flight.isShared) cache.store(flight.query, answer);
    const count = counters.of(typeOf(flight), 'upstream', rcodeOf(answer));
    for (const asker of this.#leave(flight)) reply(asker, answer, count);
  }

  failed(attempt: Attempt): void {
    const { flight } = attempt;
    this.#blame(attempt, this.#around.now());
    // Nobody listens there: another is asked at once, the same one when its time is up.
    if (attempt === flight.latest && this.#mayAskAnother(flight)) this.#attempt(flight);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    this.#around.servers.close();
    this.#streams.close();
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
      this.#around.counters.refused += flight.askers.length;
      this.#fail(flight);
    }
  }

  #sharedFlight(query: QueryReader): Flight | undefined {
    const flight = this.#shared.get(query.hashWithRest());
    return flight !== undefined && asksTheSame(flight.query, query) ? flight : undefined;
  }

  /** Whether there is a server that was not asked. */
  #mayAskAnother(flight: Flight): boolean {
    return this.#around.servers.all.length > flight.attempts.length;
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
    const flight = new Flight(query, isQuestion);
    if (asker !== undefined) this.#join(flight, asker);
    if (flight.isShared) this.#shared.set(query.hashWithRest(), flight);
    this.#attempt(flight);
  }

  #attempt(flight: Flight): void {
    const { servers, now, counters } = this.#around;
    const sinceMs = now();
    const server = servers.next(flight.asked, sinceMs);
    if (server === undefined || flight.attempts.length >= MOST_ATTEMPTS) return this.#fail(flight);
    if (flight.attempts.length > 0) counters.retries++;
    const attempt = new Attempt(flight, server, { sinceMs, owner: this });
    flight.attempts.push(attempt);
    this.#flights.delete(flight);
    this.#flights.add(flight);
    this.#sweep ??= setInterval(() => this.#retryOverdue(), SWEEP_MS);
    attempt.send();
  }

  #retryOverdue(): void {
    const { now } = this.#around;
    const nowMs = now();
    let left = RETRIES_A_SWEEP;
    for (const flight of this.#flights) {
      const isOverdue = this.#isOverdue(flight, nowMs);
      if (nowMs >= flight.sinceMs + ANSWER_MS) this.#fail(flight);
      else if (isOverdue && left > 0 && flight.attempts.length < MOST_ATTEMPTS) {
        left--;
        this.#attempt(flight);
      }
    }
    if (this.#flights.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Whether its server has taken longer than it may; then nobody waits who need not. */
  #isOverdue(flight: Flight, nowMs: number): boolean {
    const { latest } = flight;
    if (latest === undefined || nowMs - latest.sinceMs < ATTEMPT_MS) return false;
    this.#blame(latest, nowMs);
    if (!this.#mayAskAnother(flight)) this.#endInVain(flight);
    return true;
  }

  /** Nobody waits for it any more who can have an old answer, and whoever asks the same in a moment has it at once. */
  #endInVain(flight: Flight): void {
    if (flight.isShared) this.#around.cache.failed(flight.query);
    this.#endStale(flight);
  }

  /** Once for each question: one that nobody can answer makes no server be down. */
  #blame({ flight, server }: Attempt, nowMs: number): void {
    if (flight.blamed.has(server)) return;
    flight.blamed.add(server);
    server.failed(nowMs);
  }

  #fail(flight: Flight): void {
    this.#end(flight);
    if (this.#endStale(flight)) return;
    for (const asker of this.#leave(flight)) this.#replies.fail(asker);
  }

  #end(flight: Flight): void {
    flight.giveUp();
    this.#flights.delete(flight);
    const key = flight.isShared ? flight.query.hashWithRest() : -1;
    if (this.#shared.get(key) === flight) this.#shared.delete(key);
  }

  /** Nobody waits for it any more, where an answer past its time is there. */
  #endStale(flight: Flight): boolean {
    if (!flight.isShared || !this.#replies.stale(flight.askers)) return false;
    this.#leave(flight);
    return true;
  }
}
