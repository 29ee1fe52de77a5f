import { type StreamWriter, type TcpStream, WRITE_FINISHED, WRITE_PENDING } from '../net/tcp.ts';

const EMPTY = Buffer.alloc(0);

/** One line and the place of its reply among the others. */
export interface Slot {
  reply: Buffer | undefined;
  /** That are held for it: the line's, then its reply's. */
  bytes: number;
}

interface Writing {
  readonly bytes: Buffer;
  /** What the other side has not taken of it, and since when. */
  unsent: number;
  sinceMs: number;
}

/** Whose replies these are. */
export interface ReplyOwner {
  /** What had been waited for is written: the next may be. */
  replied(): void;
  /** Nothing can be written any more. */
  abort(): void;
}

/**
 * Writes replies in the order of their requests, in whatever order they become known. While one write waits for the
 * other side nothing else is written.
 */
export class Replies implements StreamWriter {
  readonly #stream: TcpStream;
  readonly #owner: ReplyOwner;
  readonly #slots: Slot[] = [];
  #slotBytes = 0;
  #writing: Writing | undefined;
  #isClosed = false;

  constructor(stream: TcpStream, owner: ReplyOwner) {
    this.#stream = stream;
    this.#owner = owner;
  }

  /** Messages on their way, and replies that have not been given to the kernel. */
  get length(): number {
    return this.#slots.length;
  }

  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  get isEmpty(): boolean {
    return this.#slots.length === 0 && this.#writing === undefined;
  }

  get heldBytes(): number {
    return this.#slotBytes + (this.#writing?.bytes.length ?? 0);
  }

  /** The next place. */
  add(bytes: number): Slot {
    const slot: Slot = { reply: undefined, bytes };
    this.#slots.push(slot);
    this.#slotBytes += bytes;
    return slot;
  }

  settle(slot: Slot, line: string): void {
    // Whoever has left waits for none; what was held for it until now was counted until now.
    slot.reply = this.#isClosed ? EMPTY : Buffer.from(line);
    this.#slotBytes += slot.reply.length - slot.bytes;
    slot.bytes = slot.reply.length;
  }

  /** Writes as many as there are before the first that is still on its way. */
  flush(): void {
    while (!this.#isClosed && this.#writing === undefined) {
      const due = this.#takeDue();
      if (due === undefined) return;
      const written = this.#stream.write(due, this);
      if (written === WRITE_PENDING)
        this.#writing = { bytes: due, unsent: due.length, sinceMs: performance.now() };
      else if (written !== WRITE_FINISHED) this.#owner.abort();
    }
  }

  /** Whether nothing was read of what waits to be written, for so long. Called now and then. */
  areUnread(nowMs: number, limitMs: number): boolean {
    const writing = this.#writing;
    if (writing === undefined) return false;
    const { unsentBytes } = this.#stream;
    if (unsentBytes < writing.unsent) {
      writing.unsent = unsentBytes;
      writing.sinceMs = nowMs;
    }
    return nowMs - writing.sinceMs >= limitMs;
  }

  writeFinished(): void {
    this.#writing = undefined;
    this.#owner.replied();
  }

  writeFailed(): void {
    this.#owner.abort();
  }

  /** Nobody waits for replies any more. */
  close(): void {
    this.#isClosed = true;
    this.#writing = undefined;
    for (const { reply, bytes } of this.#slots.splice(0)) if (reply !== undefined) this.#slotBytes -= bytes;
  }

  #takeDue(): Buffer | undefined {
    const waiting = this.#slots.findIndex(({ reply }) => reply === undefined);
    const due = this.#slots.splice(0, waiting === -1 ? this.#slots.length : waiting);
    for (const { bytes } of due) this.#slotBytes -= bytes;
    if (due.length <= 1) return due[0]?.reply;
    return Buffer.concat(due.map(({ reply }) => reply!));
  }
}
