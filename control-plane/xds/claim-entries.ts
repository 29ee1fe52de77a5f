import { FieldCursor } from './field-cursor.ts';
import { readName } from './name-cache.ts';

/** The map entries of `initial_resource_versions`, as they stand in the bytes of their request. */
export interface ClaimEntries {
  readonly count: number;
  readonly message: Buffer;
  /** Where the first of them begins, its tag included. */
  readonly from: number;
}

/** `DeltaDiscoveryRequest.initial_resource_versions`. */
export const CLAIMS_FIELD = 5;

/** Walks over the entries one by one, and says where the name and the version of the current one are. */
export class ClaimCursor {
  nameStart = 0;
  nameEnd = 0;
  versionStart = 0;
  versionEnd = 0;
  /** Where the current entry ends. */
  end = 0;
  readonly #message: Buffer;
  readonly #entries: FieldCursor;
  readonly #fields: FieldCursor;

  constructor({ message, from }: ClaimEntries) {
    this.#message = message;
    this.#entries = new FieldCursor(message, from);
    this.#fields = new FieldCursor(message);
  }

  next(): boolean {
    const entries = this.#entries;
    while (entries.next()) {
      if (entries.field !== CLAIMS_FIELD) continue;
      this.end = entries.end;
      if (isPlainClaim(this.#message, entries.start, entries.end)) this.#readPlain(entries.start);
      else this.#read(entries.start);
      return true;
    }
    return false;
  }

  get name(): string {
    return readName(this.#message, this.nameStart, this.nameEnd);
  }

  get version(): string {
    return this.#message.toString('latin1', this.versionStart, this.versionEnd);
  }

  #readPlain(start: number): void {
    this.nameStart = start + 2;
    this.nameEnd = this.end - VERSION_FIELD_BYTES;
    this.versionStart = this.end - VERSION_BYTES;
    this.versionEnd = this.end;
  }

  #read(start: number): void {
    const fields = this.#fields;
    this.nameStart = this.nameEnd = this.versionStart = this.versionEnd = start;
    fields.seek(start, this.end);
    while (fields.next()) {
      if (fields.field === 1) {
        this.nameStart = fields.start;
        this.nameEnd = fields.end;
      } else if (fields.field === 2) {
        this.versionStart = fields.start;
        this.versionEnd = fields.end;
      }
    }
  }
}

/** A name of less than 128 bytes and a version of ours, and nothing else: what most entries are. */
export function isPlainClaim(message: Uint8Array, start: number, end: number): boolean {
  return (
    message[start] === NAME_TAG &&
    message[start + 1] === end - start - 2 - VERSION_FIELD_BYTES &&
    hasVersionLast(message, end)
  );
}

/** Are the last 16 bytes the version? So it is where the fields came in order, as every known encoder writes them. */
function hasVersionLast(message: Uint8Array, end: number): boolean {
  const tag = end - VERSION_FIELD_BYTES;
  return message[tag] === VERSION_TAG && message[tag + 1] === VERSION_BYTES;
}

const NAME_TAG = (1 << 3) | 2;
const VERSION_TAG = (2 << 3) | 2;
const VERSION_BYTES = 16;
const VERSION_FIELD_BYTES = VERSION_BYTES + 2;

/**
 * The sum of the claimed versions modulo 2^64, as a set of resources has it for its version; undefined where a
 * version is none of ours. A client that made up its claims fools itself only.
 */
export function sumOfVersions(entries: ClaimEntries): string | undefined {
  const { message } = entries;
  const cursor = new ClaimCursor(entries);
  let high = 0;
  let low = 0;
  while (cursor.next()) {
    const { versionStart, versionEnd } = cursor;
    if (versionEnd - versionStart !== VERSION_BYTES) return undefined;
    const upper = hexadecimal(message, versionStart);
    const lower = hexadecimal(message, versionStart + 8);
    if (upper < 0 || lower < 0) return undefined;
    high += upper;
    low += lower;
  }
  high += Math.floor(low / 2 ** 32);
  return lowDigits(high) + lowDigits(low);
}

/** The low 32 bits as hexadecimal digits. */
function lowDigits(value: number): string {
  return (value % 2 ** 32).toString(16).padStart(8, '0');
}

/** Eight digits; -1 where one is none. */
function hexadecimal(digits: Uint8Array, from: number): number {
  let value = 0;
  for (let at = from; at < from + 8; at += 1) {
    const digit = DIGITS[digits[at] as number] as number;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const DIGITS = Int8Array.from({ length: 256 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCodePoint(code)),
);
