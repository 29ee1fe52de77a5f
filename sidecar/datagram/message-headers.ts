import { SOCKADDR_BYTES } from '../net/sockaddr.ts';

/** `struct mmsghdr` of 64-bit Linux, recvmmsg(2): a `struct msghdr` of 56 bytes, and how many bytes came or went. */
const HEADER_BYTES = 64;
const NAME_AT = 0;
const NAME_LENGTH_AT = 8;
const VECTORS_AT = 16;
const VECTOR_COUNT_AT = 24;
const LENGTH_AT = 56;

/** `struct iovec`: where the bytes are, and how many. */
const VECTOR_BYTES = 16;
const VECTOR_LENGTH_AT = 8;

/** The address of a buffer's first byte. It is true for as long as somebody holds the buffer. */
export type AddressOf = (buffer: Uint8Array) => bigint;

export interface Slots {
  readonly count: number;
  /** Of one datagram at most. */
  readonly bytes: number;
}

/** Datagrams from `first` up to and without `end`. */
export interface Range {
  readonly first: number;
  readonly end: number;
}

/** Memory for a number of datagrams, each in a slot of its own, and what tells the kernel where that is. */
export class MessageHeaders {
  readonly slots: Slots;
  /** What is in the slots, one after another. The kernel gives a page its memory when it is first touched. */
  readonly data: Uint8Array;
  /** A sockaddr for each slot. */
  readonly names: Uint8Array;
  /** What recvmmsg and sendmmsg take. */
  readonly headers: Uint8Array;
  readonly #vectors: Uint8Array;
  readonly #headerWords: DataView;
  readonly #vectorWords: DataView;

  constructor(slots: Slots, addressOf: AddressOf) {
    this.slots = slots;
    this.data = new Uint8Array(slots.count * slots.bytes);
    this.names = new Uint8Array(slots.count * SOCKADDR_BYTES);
    this.headers = new Uint8Array(slots.count * HEADER_BYTES);
    this.#vectors = new Uint8Array(slots.count * VECTOR_BYTES);
    this.#headerWords = new DataView(this.headers.buffer);
    this.#vectorWords = new DataView(this.#vectors.buffer);
    const [data, names, vectors] = [addressOf(this.data), addressOf(this.names), addressOf(this.#vectors)];
    for (let slot = 0; slot < slots.count; slot++) {
      const header = slot * HEADER_BYTES;
      this.#vectorWords.setBigUint64(slot * VECTOR_BYTES, data + BigInt(slot * slots.bytes), true);
      this.#headerWords.setBigUint64(header + NAME_AT, names + BigInt(slot * SOCKADDR_BYTES), true);
      this.#headerWords.setBigUint64(header + VECTORS_AT, vectors + BigInt(slot * VECTOR_BYTES), true);
      this.#headerWords.setBigUint64(header + VECTOR_COUNT_AT, 1n, true);
    }
  }

  /** How long the datagram in a slot is, as the kernel told. */
  lengthOf(slot: number): number {
    return this.#headerWords.getUint32(slot * HEADER_BYTES + LENGTH_AT, true);
  }

  setLength(slot: number, length: number): void {
    this.#headerWords.setUint32(slot * HEADER_BYTES + LENGTH_AT, length, true);
  }

  /** Room for a whole datagram and an address of either family. */
  empty(slot: number): void {
    this.#setVectorLength(slot, this.slots.bytes);
    this.#setNameLength(slot, SOCKADDR_BYTES);
  }

  /** To be sent: so many bytes of the slot, to its sockaddr or, with a length of 0, to where the socket is connected. */
  fill(slot: number, length: number, nameLength: number): void {
    this.#setVectorLength(slot, length);
    this.#setNameLength(slot, nameLength);
  }

  /** From this slot on. */
  from(slot: number): Uint8Array {
    return slot === 0 ? this.headers : this.headers.subarray(slot * HEADER_BYTES);
  }

  #setVectorLength(slot: number, length: number): void {
    this.#vectorWords.setUint32(slot * VECTOR_BYTES + VECTOR_LENGTH_AT, length, true);
  }

  #setNameLength(slot: number, length: number): void {
    this.#headerWords.setUint32(slot * HEADER_BYTES + NAME_LENGTH_AT, length, true);
  }
}
