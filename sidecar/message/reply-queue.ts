const EMPTY = Buffer.alloc(0);

/** One line and the place of its reply among the others. */
export interface Slot {
  reply: Buffer | undefined;
  /** That are held for it: the line's, then its reply's. */
  bytes: number;
}

/** Replies in the order of their requests, in whatever order they become known. */
export class ReplyQueue {
  readonly #slots: Slot[] = [];
  #bytes = 0;
  #isClosed = false;

  get length(): number {
    return this.#slots.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The next place. */
  add(bytes: number): Slot {
    const slot: Slot = { reply: undefined, bytes };
    this.#slots.push(slot);
    this.#bytes += bytes;
    return slot;
  }

  settle(slot: Slot, line: string): void {
    // Whoever has left waits for none; what was held for it until now was counted until now.
    slot.reply = this.#isClosed ? EMPTY : Buffer.from(line);
    this.#bytes += slot.reply.length - slot.bytes;
    slot.bytes = slot.reply.length;
  }

  /** As many replies as there are before the first that is still on its way. */
  takeDue(): Buffer | undefined {
    const waiting = this.#slots.findIndex(({ reply }) => reply === undefined);
    const due = this.#slots.splice(0, waiting === -1 ? this.#slots.length : waiting);
    for (const { bytes } of due) this.#bytes -= bytes;
    if (due.length <= 1) return due[0]?.reply;
    return Buffer.concat(due.map(({ reply }) => reply!));
  }

  /** Nobody waits for replies any more. */
  close(): void {
    this.#isClosed = true;
    for (const { reply, bytes } of this.#slots.splice(0)) if (reply !== undefined) this.#bytes -= bytes;
  }
}
