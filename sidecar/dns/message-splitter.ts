import { LONGEST_MESSAGE } from './protocol.ts';

/** Cuts a stream into messages, each of which has its length before it (RFC 1035, 4.2.2). */
export class MessageSplitter {
  readonly #message: (bytes: Uint8Array) => void;
  #kept: Buffer = Buffer.alloc(0);

  constructor(message: (bytes: Uint8Array) => void) {
    this.#message = message;
  }

  /** Whether a message has begun and not ended. */
  get isWithin(): boolean {
    return this.#kept.length > 0;
  }

  /** The bytes of messages are the taker's to keep only while `message` runs. */
  take(chunk: Buffer): void {
    let bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0);
      this.#message(bytes.subarray(2, end));
      bytes = bytes.subarray(end);
    }
    this.#kept = Buffer.from(bytes);
  }
}

export function withLength(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeUInt16BE(Math.min(message.length, LONGEST_MESSAGE), 0);
  bytes.set(message, 2);
  return bytes;
}
