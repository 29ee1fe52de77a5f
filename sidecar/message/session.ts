import type { StreamReader, TcpStream } from '../net/tcp.ts';
import { type Answer, type Failure, failed, withoutAnswer } from './answer.ts';
import type { HeldMemory, SpareHolder } from './held-memory.ts';
import type { MessageLimits } from './limits.ts';
import { LineSplitter, TOO_LONG } from './lines.ts';
import { type Mistake, unreadable } from './mistake.ts';
import { isHttp, LONGEST_READ, type Message, parseRequest, replyLine, TOO_LARGE } from './protocol.ts';
import { Rate } from './rate.ts';
import { Replies, type ReplyOwner, type Slot } from './replies.ts';
import type { LineTaker, Round } from './round.ts';

/** What all sessions share. */
export interface SessionSurroundings {
  readonly limits: MessageLimits;
  /** Read into by all: what is read is copied before another reads. */
  readonly readBuffer: Uint8Array;
  readonly memory: HeldMemory;
  readonly round: Round;
  /** Never rejects. */
  handle(message: Message, from: string): Promise<Answer>;
  answered(session: Session, service: string, answer: Answer): void;
  /** @param unclosed the connection, where all is said and the other side has not closed it yet */
  ended(session: Session, unclosed?: TcpStream): void;
}

/**
 * One connection on which messages come: replies leave in the order of their requests. Where there are lines that
 * wait to be taken, its limit of messages on their way is reached, or a reply cannot be written, nothing more is read.
 */
export class Session implements StreamReader, ReplyOwner, LineTaker, SpareHolder {
  readonly #stream: TcpStream;
  readonly #around: SessionSurroundings;
  readonly #splitter = new LineSplitter(LONGEST_READ);
  readonly #replies: Replies;
  readonly #rate: Rate;
  #from: string | undefined;
  #activeAtMs = performance.now();
  /** Since when a line that has begun is waited for, moved on by the time in which nothing was read. */
  #lineSinceMs: number | undefined;
  #pausedAtMs = this.#activeAtMs;
  #accountedBytes = 0;
  #isReading = false;
  /** Until it may send on, as it had sent too much. */
  #rateTimer: NodeJS.Timeout | undefined;
  /** It sends no more: what it sent is still taken. */
  #hasEnded = false;
  /** Finishing, nothing more is taken. */
  #state: 'open' | 'finishing' | 'closed' = 'open';

  constructor(stream: TcpStream, around: SessionSurroundings) {
    this.#stream = stream;
    this.#around = around;
    this.#replies = new Replies(stream, this);
    this.#rate = new Rate(around.limits.messagesPerSecond, this.#activeAtMs);
  }

  /** Whose messages these are; empty where the connection is gone already. */
  get from(): string {
    return (this.#from ??= this.#stream.remoteAddress()?.address ?? '');
  }

  /** Since when nothing has come; now while lines wait to be taken, positive infinity while a message is under way. */
  get restsSinceMs(): number {
    if (!this.#replies.isEmpty) return Number.POSITIVE_INFINITY;
    return this.#isReading ? this.#activeAtMs : performance.now();
  }

  /** Not while lines wait to be taken: more of one that has begun is awaited. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Held for a line that has begun and was not taken. */
  get begunBytes(): number {
    return this.#splitter.begunBytes;
  }

  start(): void {
    this.#stream.attach(this, this.#around.readBuffer);
    this.#resume();
  }

  /** Tells whom there is no room for, and closes. */
  turnAway(detail: string): void {
    this.#stop();
    this.#refuse(unreadable('overloaded', detail));
    this.#flush();
  }

  /** The line that has begun, for want of room. */
  drop(): void {
    this.#skip('overloaded', TOO_MUCH);
  }

  /** Takes nothing more, and closes once what is on its way has been answered. */
  finish(): void {
    this.#stop();
    this.#closeIfDone();
  }

  abort(): void {
    if (this.#state === 'closed') return;
    this.#stop();
    this.#stream.reset();
    this.#end();
  }

  /** Called now and then, so that no time limit needs a timer of its own. */
  tick(nowMs: number): void {
    const { lineTimeoutMs, idleTimeoutMs, unreadTimeoutMs } = this.#around.limits;
    if (this.#replies.areUnread(nowMs, unreadTimeoutMs)) {
      this.abort();
    } else if (nowMs - this.restsSinceMs >= idleTimeoutMs) {
      this.finish();
    } else if (this.#isReading && nowMs - (this.#lineSinceMs ?? nowMs) >= lineTimeoutMs) {
      this.#skip('too-slow', `the line took longer than ${lineTimeoutMs} ms to come.`);
    }
  }

  read(length: number): undefined {
    this.#activeAtMs = performance.now();
    this.#splitter.push(this.#around.readBuffer.subarray(0, length));
    this.#pump();
    this.#splitter.keep();
    this.#account();
  }

  readEnded(): void {
    this.#isReading = false;
    this.#hasEnded = true;
    this.#pump();
  }

  readFailed(): void {
    this.abort();
  }

  replied(): void {
    this.#flush();
    this.#pump();
  }

  takeLine(): boolean {
    if (this.#state !== 'open') return false;
    if (!this.#mayTake()) {
      this.#pause();
      return false;
    }
    const line = this.#splitter.next() ?? (this.#hasEnded ? this.#splitter.last() : undefined);
    if (line === undefined) {
      this.#awaitMore();
      return false;
    }
    this.#take(line);
    this.#flush();
    return true;
  }

  #pump(): void {
    if (!this.#around.round.enter(this)) this.#pause();
  }

  #mayTake(): boolean {
    if (this.#replies.isWriting || this.#replies.length >= this.#around.limits.outstanding) return false;
    const waitMs = this.#rate.dueInMs(performance.now());
    if (waitMs > 0) this.#pumpIn(waitMs);
    return waitMs === 0;
  }

  #pumpIn(waitMs: number): void {
    this.#rateTimer ??= setTimeout(
      () => {
        this.#rateTimer = undefined;
        this.#pump();
      },
      Math.max(waitMs, SHORTEST_REST_MS),
    );
  }

  #take(line: string | typeof TOO_LONG): void {
    this.#lineSinceMs = undefined;
    // Empty ones, too: they cost time.
    this.#rate.take();
    if (line === TOO_LONG) {
      this.#refuse(unreadable('too-large', TOO_LARGE));
    } else if (isHttp(line)) {
      // A page in a browser, or a server that is made to ask for an address, sends a body that would be a message.
      this.#stop();
      this.#refuse(unreadable('bad-json', NO_HTTP));
    } else if (line.trim() !== '') {
      this.#request(line);
    }
    this.#account();
  }

  #request(line: string): void {
    const parsed = parseRequest(line);
    if (!parsed.ok) {
      this.#refuse(parsed);
      return;
    }
    const { message } = parsed;
    const slot = this.#replies.add(line.length);
    this.#account();
    if (!this.#around.memory.makeRoom(0)) {
      this.#settle(slot, message, failed('overloaded', TOO_MUCH));
      return;
    }
    void this.#handle(slot, message);
  }

  async #handle(slot: Slot, message: Message): Promise<void> {
    const answer = await this.#around.handle(message, message.from ?? this.from);
    this.#settle(slot, message, answer);
    this.#flush();
    if (!this.#isReading) this.#pump();
  }

  #refuse(mistake: Mistake): void {
    this.#settle(this.#replies.add(0), mistake, mistake.answer);
  }

  #settle(slot: Slot, { service, hops }: Pick<Mistake, 'service' | 'hops'>, answer: Answer): void {
    const said = this.#hasRoomFor(answer, slot) ? answer : withoutAnswer(answer);
    this.#around.answered(this, service, said);
    this.#replies.settle(slot, replyLine(service, said, hops !== 0));
  }

  #hasRoomFor({ payload }: Answer, slot: Slot): boolean {
    // Who has left is sent nothing.
    if (this.#state === 'closed') return true;
    return payload.length <= SHORT_PAYLOAD || this.#around.memory.makeRoom(payload.length - slot.bytes);
  }

  #flush(): void {
    this.#replies.flush();
    this.#account();
    this.#closeIfDone();
  }

  /** Drops the line that has begun. */
  #skip(outcome: Failure, detail: string): void {
    this.#splitter.skip();
    this.#lineSinceMs = undefined;
    this.#activeAtMs = performance.now();
    this.#refuse(unreadable(outcome, detail));
    this.#flush();
  }

  #awaitMore(): void {
    if (this.#hasEnded) {
      this.finish();
      return;
    }
    this.#account();
    if (this.#splitter.isWithinLine) this.#around.memory.makeRoom(0);
    this.#resume();
    // Not where it was this one that had to go.
    if (this.#splitter.isWithinLine) this.#lineSinceMs ??= performance.now();
    else this.#lineSinceMs = undefined;
  }

  #resume(): void {
    if (this.#isReading || this.#state !== 'open' || this.#hasEnded) return;
    this.#isReading = true;
    this.#activeAtMs = performance.now();
    // While nothing was read, it was not the sender who was slow.
    if (this.#lineSinceMs !== undefined) this.#lineSinceMs += this.#activeAtMs - this.#pausedAtMs;
    this.#stream.startReading();
  }

  #pause(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#pausedAtMs = performance.now();
    this.#stream.stopReading();
  }

  /** What is held now, told to the sum of all. */
  #account(): void {
    const held = this.#replies.heldBytes + this.#splitter.heldBytes;
    this.#around.memory.bytes += held - this.#accountedBytes;
    this.#accountedBytes = held;
  }

  /** What has come and was not taken is dropped. */
  #stop(): void {
    if (this.#state !== 'open') return;
    this.#pause();
    this.#state = 'finishing';
    this.#splitter.clear();
    clearTimeout(this.#rateTimer);
  }

  #closeIfDone(): void {
    if (this.#state !== 'finishing' || !this.#replies.isEmpty) return;
    if (this.#hasEnded) this.#stream.close();
    this.#end(this.#hasEnded ? undefined : this.#stream);
  }

  #end(unclosed?: TcpStream): void {
    this.#state = 'closed';
    this.#replies.close();
    this.#account();
    this.#around.ended(this, unclosed);
  }
}

/** There is always room for these: they are as many as messages are on their way. */
const SHORT_PAYLOAD = 1024;
/** Shorter, and a timer would be set for every line. */
const SHORTEST_REST_MS = 5;
const NO_HTTP = 'this port does not speak HTTP: it takes messages over TCP as they are, each a line of JSON.';
const TOO_MUCH =
  'this sidecar holds as much as it may of the messages of all connections: send it again later.';
