import { LONGEST_MESSAGE } from './protocol.ts';

const EMPTY = Buffer.alloc(0);

/** Cuts a stream into messages, each of which has its length before it (RFC 1035, 4.2.2). */
export class MessageSplitter {
  /** With room for more at its end: whoever sends bytes one by one must not have all copied for each. */
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  /** Of what has come and was not taken. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** What is kept for that. */
  get heldBytes(): number {
    return this.#bytes.length;
  }

  add(chunk: Buffer): void {
    if (this.length === 0) return this.#begin(chunk);
    if (this.#end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole message, if it is here. The bytes are whoever's who takes them. */
  next(): Uint8Array | undefined {
    if (this.length < 2) return undefined;
    const end = this.#start + 2 + this.#bytes.readUInt16BE(this.#start);
    if (this.#end < end) return undefined;
    // No Buffer, whose `slice` is no copy.
    const { buffer, byteOffset } = this.#bytes;
    const message = new Uint8Array(buffer, byteOffset + this.#start + 2, end - this.#start - 2);
    this.#start = end;
    if (this.length === 0) this.clear();
    return message;
  }

  clear(): void {
    this.#begin(EMPTY);
  }

  #begin(chunk: Buffer): void {
    this.#bytes = chunk;
    this.#start = 0;
    this.#end = chunk.length;
  }

  #makeRoom(length: number): void {
    const grown = Buffer.allocUnsafe(2 * (this.length + length));
    this.#end = this.#bytes.copy(grown, 0, this.#start, this.#end);
    this.#bytes = grown;
    this.#start = 0;
  }
}

export function withLength(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeUInt16BE(Math.min(message.length, LONGEST_MESSAGE), 0);
  bytes.set(message, 2);
  return bytes;
}
