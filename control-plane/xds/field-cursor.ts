/**
 * Walks over the length-delimited fields of a protobuf message without making an object for any of them: a request
 * of 4 MiB can have two million fields. All other fields are skipped.
 */
export class FieldCursor {
  /** The current field's number, and where its value begins and ends. */
  field = 0;
  start = 0;
  end = 0;
  #bytes: Uint8Array;
  #at: number;
  #limit: number;

  constructor(bytes: Uint8Array, from = 0, limit = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#limit = limit;
  }

  /** Starts again at another part of the same bytes. */
  seek(from: number, limit: number): void {
    this.#at = from;
    this.#limit = limit;
  }

  /** Moves to the next length-delimited field; false at the end. Throws if the bytes are not a message. */
  next(): boolean {
    while (this.#at < this.#limit) {
      const tag = this.#varint();
      if ((tag & 7) !== LENGTH_DELIMITED) {
        this.#skip(tag);
        continue;
      }
      const length = this.#varint();
      this.field = tag >>> 3;
      this.start = this.#at;
      this.#advance(length);
      this.end = this.#at;
      return true;
    }
    return false;
  }

  #skip(tag: number): void {
    let depth = 0;
    let next = tag;
    for (;;) {
      const type = next & 7;
      if (type === START_GROUP) depth += 1;
      else if (type === END_GROUP) depth -= 1;
      else this.#skipValue(type);
      if (depth < 0) throw new RangeError('a group ends that did not begin');
      if (depth === 0) return;
      next = this.#varint();
    }
  }

  #skipValue(type: number): void {
    if (type === VARINT) this.#varint();
    else if (type === FIXED64) this.#advance(8);
    else if (type === FIXED32) this.#advance(4);
    else if (type === LENGTH_DELIMITED) this.#advance(this.#varint());
    else throw new RangeError(`there is no wire type ${type}`);
  }

  #advance(length: number): void {
    if (this.#at + length > this.#limit) throw new RangeError('a field is longer than its message');
    this.#at += length;
  }

  /** The low 32 bits of a varint. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= this.#limit) throw new RangeError('the message ends within a field');
      const byte = this.#bytes[this.#at++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError('a number is longer than ten bytes');
  }
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
