import { skipName } from './name.ts';
import { HEADER_BYTES, uint16 } from './protocol.ts';

/** Between a record's name and its data: type, class, time to live and how long the data is (RFC 1035, 4.1.3). */
const FIXED_BYTES = 10;
const TTL_AT = 4;
const LENGTH_AT = 8;

const SECTIONS = 3;

/** Where in a message a record is. */
export interface PlacedRecord {
  /** 0 the answer, 1 the authority, 2 what is additional. */
  readonly section: number;
  readonly type: number;
  readonly nameAt: number;
  readonly ttlAt: number;
  readonly dataAt: number;
  readonly end: number;
}

/** The records of a message, up to the first one that cannot be read. */
export function* placedRecords(message: Uint8Array): Generator<PlacedRecord> {
  // Messages of a zone after the first need not repeat the question.
  let nameAt = uint16(message, 4) === 1 ? questionEnd(message) : HEADER_BYTES;
  for (let section = 0; section < SECTIONS; section++) {
    for (let left = recordCount(message, section); left > 0; left--) {
      const typeAt = skipName(message, nameAt, { end: message.length, mayPoint: true });
      if (typeAt < 0 || typeAt + FIXED_BYTES > message.length) return;
      const dataAt = typeAt + FIXED_BYTES;
      const end = dataAt + uint16(message, typeAt + LENGTH_AT);
      if (end > message.length) return;
      yield { section, type: uint16(message, typeAt), nameAt, ttlAt: typeAt + TTL_AT, dataAt, end };
      nameAt = end;
    }
  }
}

/** How many records of a section a message says it has. */
export function recordCount(message: Uint8Array, section: number): number {
  return uint16(message, 6 + 2 * section);
}

/** Where the question cannot be read it is behind everything. */
function questionEnd(message: Uint8Array): number {
  const nameEnd = skipName(message, HEADER_BYTES, { end: message.length, mayPoint: false });
  return nameEnd < 0 ? message.length : nameEnd + 4;
}
