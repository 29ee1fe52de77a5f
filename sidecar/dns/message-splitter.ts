import { LONGEST_MESSAGE } from './protocol.ts';

/** Cuts a stream into messages, each of which has its length before it (RFC 1035, 4.2.2). */
export class MessageSplitter {
  #bytes: Buffer = Buffer.alloc(0);

  /** Of what has come and was not taken. */
  get length(): number {
    return this.#bytes.length;
  }

  add(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole message, if it is here. The bytes are whoever's who takes them. */
  next(): Uint8Array | undefined {
    const bytes = this.#bytes;
    const end = bytes.length < 2 ? Infinity : 2 + bytes.readUInt16BE(0);
    if (bytes.length < end) return undefined;
    this.#bytes = bytes.subarray(end);
    return bytes.subarray(2, end);
  }
}

export function withLength(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeUInt16BE(Math.min(message.length, LONGEST_MESSAGE), 0);
  bytes.set(message, 2);
  return bytes;
}
