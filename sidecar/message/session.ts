import type { StreamReader, StreamWriter, TcpStream } from '../forward/tcp.ts';
import { WRITE_FINISHED, WRITE_PENDING } from '../forward/tcp.ts';
import { type Answer, type Failure, failed, withoutAnswer } from './answer.ts';
import type { HeldMemory } from './held-memory.ts';
import type { MessageLimits } from './limits.ts';
import { LineSplitter, TOO_LONG } from './lines.ts';
import { LONGEST_LINE, LONGEST_READ, type Message, parseRequest, replyLine } from './protocol.ts';
import { Rate } from './rate.ts';

/** What all sessions share. */
export interface SessionSurroundings {
  readonly limits: MessageLimits;
  /** Read into by all: what is read is copied before another reads. */
  readonly readBuffer: Uint8Array;
  readonly memory: HeldMemory;
  /** Never rejects. */
  handle(message: Message, from: string): Promise<Answer>;
  answered(session: Session, service: string, answer: Answer): void;
  ended(session: Session): void;
}

/** One line and the place of its reply among the others. */
interface Slot {
  reply: Buffer | undefined;
  bytes: number;
}

/**
 * One connection on which messages come: replies leave in the order of their requests. Where its limit of
 * messages on their way is reached, or a reply cannot be written, nothing more is read.
 */
export class Session implements StreamReader, StreamWriter {
  readonly #stream: TcpStream;
  readonly #around: SessionSurroundings;
  readonly #splitter = new LineSplitter(LONGEST_READ);
  readonly #slots: Slot[] = [];
  readonly #rate: Rate;
  #from: string | undefined;
  #activeAtMs = performance.now();
  /** Since when a line that has begun is waited for. */
  #lineSinceMs: number | undefined;
  /** The bytes of a pending write, and since when. */
  #writing: { readonly bytes: Buffer; readonly sinceMs: number } | undefined;
  #slotBytes = 0;
  #accountedBytes = 0;
  #isReading = false;
  /** It sends no more, or is not heard any more. */
  #isFinishing = false;
  #isClosed = false;

  constructor(stream: TcpStream, around: SessionSurroundings) {
    this.#stream = stream;
    this.#around = around;
    this.#rate = new Rate(around.limits.messagesPerSecond, this.#activeAtMs);
  }

  /** Whose messages these are; empty where the connection is gone already. */
  get from(): string {
    return (this.#from ??= this.#stream.remoteAddress()?.address ?? '');
  }

  start(): void {
    this.#stream.attach(this, this.#around.readBuffer);
    this.#resume();
  }

  /** Told instead of anything else: for whom there is no room. */
  turnAway(detail: string): void {
    this.#stream.attach(this, this.#around.readBuffer);
    this.#isFinishing = true;
    this.#fail('overloaded', detail);
    this.#flush();
  }

  /** Reads no more, and closes once what is on its way has been answered. */
  finish(): void {
    this.#isFinishing = true;
    this.#pause();
    this.#closeIfDone();
  }

  abort(): void {
    if (this.#isClosed) return;
    this.#stream.reset();
    this.#end();
  }

  /** Called now and then, so that no session needs a timer of its own. */
  tick(nowMs: number): void {
    const { lineTimeoutMs, idleTimeoutMs, unreadTimeoutMs } = this.#around.limits;
    if (this.#writing !== undefined) {
      if (nowMs - this.#writing.sinceMs >= unreadTimeoutMs) this.abort();
    } else if (this.#slots.length === 0 && nowMs - this.#activeAtMs >= idleTimeoutMs) {
      this.#close();
    } else if (this.#lineSinceMs !== undefined && nowMs - this.#lineSinceMs >= lineTimeoutMs) {
      this.#skip('too-slow', `the line took longer than ${lineTimeoutMs} ms to come.`);
    }
    // Whoever had sent too much in a second may go on in the next.
    if (!this.#isReading) this.#pump();
  }

  read(length: number): undefined {
    this.#activeAtMs = performance.now();
    this.#splitter.push(this.#around.readBuffer.subarray(0, length));
    this.#pump();
  }

  readEnded(): void {
    const line = this.#splitter.last();
    this.#isFinishing = true;
    this.#isReading = false;
    if (line !== undefined) this.#take(line);
    this.#flush();
  }

  readFailed(): void {
    this.abort();
  }

  writeFinished(): void {
    this.#writing = undefined;
    this.#flush();
    this.#pump();
  }

  writeFailed(): void {
    this.abort();
  }

  #pump(): void {
    while (!this.#isClosed && !this.#isFinishing) {
      const isDry = this.#takeLines();
      this.#flush();
      if (isDry) {
        this.#awaitMore();
        return;
      }
      if (!this.#mayTake()) {
        this.#pause();
        return;
      }
    }
  }

  /** Whether all was taken that had come. */
  #takeLines(): boolean {
    while (this.#mayTake()) {
      const line = this.#splitter.next();
      if (line === undefined) return true;
      this.#take(line);
    }
    return false;
  }

  #mayTake(): boolean {
    return (
      !this.#isClosed &&
      this.#writing === undefined &&
      this.#slots.length < this.#around.limits.outstanding &&
      this.#rate.isDue(performance.now())
    );
  }

  #take(line: string | typeof TOO_LONG): void {
    this.#lineSinceMs = undefined;
    if (line === TOO_LONG) {
      this.#rate.take();
      this.#fail('too-large', `the line is longer than ${LONGEST_LINE} bytes.`);
    } else if (line.trim() !== '') {
      this.#rate.take();
      this.#request(line);
    }
    this.#account();
  }

  #request(line: string): void {
    const parsed = parseRequest(line);
    if (!parsed.ok) {
      this.#settle(this.#slot(0), parsed, parsed.answer);
      return;
    }
    const { message } = parsed;
    const slot = this.#slot(line.length);
    this.#account();
    if (this.#around.memory.isOver) {
      this.#settle(slot, message, failed('overloaded', TOO_MUCH));
      return;
    }
    void this.#handle(slot, message);
  }

  async #handle(slot: Slot, message: Message): Promise<void> {
    const answer = await this.#around.handle(message, message.from ?? this.from);
    this.#settle(slot, message, answer);
    this.#flush();
    this.#pump();
  }

  #fail(outcome: Failure, detail: string): void {
    this.#settle(this.#slot(0), { service: '', hops: 0 }, failed(outcome, detail));
  }

  #slot(bytes: number): Slot {
    const slot: Slot = { reply: undefined, bytes };
    this.#slots.push(slot);
    this.#slotBytes += bytes;
    return slot;
  }

  #settle(slot: Slot, { service, hops }: Pick<Message, 'service' | 'hops'>, answer: Answer): void {
    const said = this.#hasRoomFor(answer, slot) ? answer : withoutAnswer(answer);
    this.#around.answered(this, service, said);
    // Whoever has left waits for none; what was held for it until now was counted until now.
    const reply = this.#isClosed ? EMPTY : Buffer.from(replyLine(service, said, hops > 0));
    slot.reply = reply;
    this.#slotBytes += reply.length - slot.bytes;
    slot.bytes = reply.length;
  }

  #hasRoomFor({ payload }: Answer, slot: Slot): boolean {
    const { memory } = this.#around;
    return payload.length <= SHORT_PAYLOAD || memory.bytes - slot.bytes + payload.length <= memory.limit;
  }

  /** Writes the replies that are due: as many as there are before the first that is still on its way. */
  #flush(): void {
    while (!this.#isClosed && this.#writing === undefined) {
      const due = this.#takeDue();
      if (due === undefined) break;
      const written = this.#stream.write(due, this);
      if (written === WRITE_PENDING) this.#writing = { bytes: due, sinceMs: performance.now() };
      else if (written !== WRITE_FINISHED) this.abort();
    }
    this.#account();
    this.#closeIfDone();
  }

  #takeDue(): Buffer | undefined {
    const waiting = this.#slots.findIndex(({ reply }) => reply === undefined);
    const due = this.#slots.splice(0, waiting === -1 ? this.#slots.length : waiting);
    for (const { bytes } of due) this.#slotBytes -= bytes;
    if (due.length <= 1) return due[0]?.reply;
    return Buffer.concat(due.map(({ reply }) => reply!));
  }

  /** Drops the line that has begun. */
  #skip(outcome: Failure, detail: string): void {
    this.#splitter.skip();
    this.#lineSinceMs = undefined;
    this.#activeAtMs = performance.now();
    this.#fail(outcome, detail);
    this.#flush();
  }

  #awaitMore(): void {
    const { memory } = this.#around;
    if (!this.#splitter.isWithinLine) this.#lineSinceMs = undefined;
    else if (memory.isOver) this.#skip('overloaded', TOO_MUCH);
    else this.#lineSinceMs ??= performance.now();
    this.#resume();
  }

  #resume(): void {
    if (this.#isReading || this.#isClosed || this.#isFinishing) return;
    this.#isReading = true;
    // While nothing was read, it was not the sender who was slow.
    if (this.#lineSinceMs !== undefined) this.#lineSinceMs = performance.now();
    this.#stream.startReading();
  }

  #pause(): void {
    if (!this.#isReading || this.#isClosed) return;
    this.#isReading = false;
    this.#lineSinceMs = undefined;
    this.#stream.stopReading();
  }

  /** What is held now, told to the sum of all. */
  #account(): void {
    const writing = this.#writing?.bytes.length ?? 0;
    const held = this.#slotBytes + (this.#isClosed ? 0 : this.#splitter.heldBytes + writing);
    this.#around.memory.bytes += held - this.#accountedBytes;
    this.#accountedBytes = held;
  }

  #closeIfDone(): void {
    if (this.#isFinishing && this.#slots.length === 0 && this.#writing === undefined) this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#stream.close();
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    for (const { reply, bytes } of this.#slots.splice(0)) if (reply !== undefined) this.#slotBytes -= bytes;
    this.#account();
    this.#around.ended(this);
  }
}

/** There is always room for these: they are as many as messages are on their way. */
const SHORT_PAYLOAD = 1024;
const EMPTY = Buffer.alloc(0);
const TOO_MUCH =
  'this sidecar holds as much as it may of the messages of all connections: send it again later.';
