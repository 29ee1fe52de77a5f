import type { Asker } from '../asker.ts';
import { isRefusal } from './flight.ts';
import { rcodeOf, type Replies, reply, typeOf } from './replies.ts';
import { StreamAskers } from './stream-askers.ts';
import { StreamFlight } from './stream-flight.ts';
import { ServerStream } from './streams.ts';
import type { Surroundings } from './surroundings.ts';
import { ANSWER_MS, ATTEMPT_MS, type StreamTimes } from './times.ts';

const MOST_FLIGHTS = 256;
/** As many as all connections to the proxy may have under way. */
const MOST_ASKERS = 8_192;

const TIMES: StreamTimes = { attemptMs: ATTEMPT_MS, answerMs: ANSWER_MS };

/** Forwards queries that arrived over TCP to upstream servers over TCP. */
export class StreamForwarder {
  readonly #around: Surroundings;
  readonly #replies: Replies;
  readonly #times: StreamTimes;
  readonly #flights = new Set<StreamFlight>();
  readonly #askers = new StreamAskers();
  #isClosed = false;

  constructor(around: Surroundings, replies: Replies) {
    this.#around = around;
    this.#replies = replies;
    this.#times = { ...TIMES, ...around.streamTimes };
  }

  get flightCount(): number {
    return this.#flights.size;
  }

  get waitingCount(): number {
    return this.#askers.count;
  }

  /** Answers the asker in the end, whatever happens, unless it leaves. */
  forward(asker: Asker): void {
    // It may have left while something else was waited for.
    if (!asker.isWaiting) return;
    if (this.#isClosed) return this.#replies.refuse(asker);
    if (this.#replies.staleAtOnce(asker)) return this.#fetch(asker);
    if (this.#askers.count >= MOST_ASKERS) this.#turnAwayAsker();
    const same = this.#sameAs(asker);
    if (same === undefined) this.#launch(asker);
    else this.#askers.add(asker, same);
  }

  /** Nobody from there waits any more. */
  left(source: Asker['source']): void {
    for (const [asker, flight] of this.#askers.of(source)) this.#leave(asker, flight);
  }

  close(): void {
    this.#isClosed = true;
    for (const flight of this.#flights) this.#end(flight);
  }

  #sameAs(asker: Asker): StreamFlight | undefined {
    return this.#flights.values().find((flight) => flight.mayServe(asker));
  }

  #launch(asker: Asker): void {
    if (this.#flights.size >= MOST_FLIGHTS) this.#turnAwayFlight();
    const flight = this.#flightFor(asker);
    this.#askers.add(asker, flight);
    this.#askNext(flight);
  }

  /** For the cache alone: nobody has to make room for it. */
  #fetch(asker: Asker): void {
    if (this.#flights.size >= MOST_FLIGHTS || this.#sameAs(asker) !== undefined) return;
    this.#askNext(this.#flightFor(asker));
  }

  #flightFor(asker: Asker): StreamFlight {
    const { servers, now } = this.#around;
    // What a server does by UDP says little about TCP: one that is down is asked all the same, only last.
    const inOrder = servers.all.toSorted((one, other) => Number(one.isDown) - Number(other.isDown));
    const flight = new StreamFlight(asker, inOrder, now() + this.#times.answerMs);
    this.#flights.add(flight);
    return flight;
  }

  #turnAwayAsker(): void {
    const least = this.#askers.leastOfMost();
    if (least === undefined) return;
    this.#leave(...least);
    this.#refuse(least[0]);
  }

  /** One that nobody waits for, if there is one. */
  #turnAwayFlight(): void {
    const unawaited = this.#flights.values().find(({ askers }) => askers.size === 0);
    const flight = unawaited ?? this.#askers.leastOfMost()?.[1];
    if (flight === undefined) return;
    for (const asker of this.#end(flight)) this.#refuse(asker);
  }

  /** Later: a client that is answered may send its next query at once, which would take the room again. */
  #refuse(asker: Asker): void {
    setImmediate(() => this.#replies.refuse(asker));
  }

  #leave(asker: Asker, flight: StreamFlight): void {
    this.#askers.remove(asker, flight);
    if (flight.askers.size === 0) this.#end(flight);
  }

  /** Those that were asked before are heard as well. */
  #askNext(flight: StreamFlight): void {
    const leftMs = flight.untilMs - this.#around.now();
    if (leftMs <= 0) return this.#fail(flight);
    this.#ask(flight);
    if (flight.streams.size === 0) return this.#fail(flight);
    flight.wait(Math.min(this.#times.attemptMs, leftMs), () => {
      if (!flight.mayAskAnother) this.#endInVain(flight);
      this.#askNext(flight);
    });
  }

  /** Nobody waits for it any more who can have an old answer, and whoever asks the same in a moment has it at once. */
  #endInVain(flight: StreamFlight): void {
    if (!flight.isShared) return;
    this.#around.cache.failed(flight.query);
    if (this.#replies.hasStale(flight.query)) this.#replies.stale(this.#letGo(flight));
  }

  #ask(flight: StreamFlight): void {
    const server = flight.nextServer();
    if (server === undefined) return;
    if (flight.asked > 1) this.#around.counters.retries++;
    const stream: ServerStream = new ServerStream(server.address, flight.bytes, {
      message: (message) => this.#take(flight, stream, message),
      failed: () => this.#passOver(flight, stream),
    });
    flight.streams.add(stream);
  }

  #take(flight: StreamFlight, stream: ServerStream, message: Uint8Array): void {
    const mayKnowBetter = flight.mayAskAnother || flight.streams.size > 1;
    if (!flight.isAnsweredBy(message)) this.#around.counters.mismatched++;
    else if (isRefusal(message) && mayKnowBetter) this.#passOver(flight, stream);
    else this.#relay(flight, message);
  }

  /** This server will not answer: the next one is asked at once. */
  #passOver(flight: StreamFlight, stream: ServerStream): void {
    flight.drop(stream);
    this.#askNext(flight);
  }

  #relay(flight: StreamFlight, message: Uint8Array): void {
    const { servers, cache, counters, now } = this.#around;
    servers.answeredMs = now();
    const count = counters.of(typeOf(flight), 'upstream', rcodeOf(message));
    const askers = this.#end(flight);
    if (flight.isShared && isRefusal(message) && this.#replies.stale(askers)) return;
    if (flight.isShared) cache.store(flight.query, message);
    for (const asker of askers) reply(asker, message, count);
  }

  #fail(flight: StreamFlight): void {
    const askers = this.#end(flight);
    if (flight.isShared && this.#replies.stale(askers)) return;
    for (const asker of askers) this.#replies.fail(asker);
  }

  /** Returns those who waited for it: whoever calls answers them. */
  #end(flight: StreamFlight): readonly Asker[] {
    this.#flights.delete(flight);
    flight.giveUp();
    return this.#letGo(flight);
  }

  /** Nobody waits for it any more. Returns who did. */
  #letGo(flight: StreamFlight): readonly Asker[] {
    const askers = [...flight.askers];
    for (const asker of askers) this.#askers.remove(asker, flight);
    return askers;
  }
}
