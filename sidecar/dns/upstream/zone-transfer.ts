import { skipName } from '../name.ts';
import { HEADER_BYTES, RCODE, TYPE, uint16, uint32 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import { rcodeOf } from './replies.ts';

/** Name, type, class, time to live and length of data, without the name. */
const FIXED_BYTES = 10;
/** Five numbers end the data of an SOA, the serial is the first of them. */
const SERIAL_FROM_END = 20;

/**
 * Tells when a zone has come whole (RFC 5936, 2.2): with the SOA that it began with. Changes alone (RFC 1995, 4) have
 * an older SOA in the second place, and name the first one once more before it ends them. Where there are none, one SOA
 * is all that comes.
 */
export class ZoneTransfer {
  #records = 0;
  #serial = 0;
  /** SOAs like the first one that are still to come. */
  #left = 1;
  /** What the asker has of an older zone, or of this one. */
  readonly #held: number | undefined;

  constructor(query: QueryReader) {
    this.#held = query.type === TYPE.IXFR ? heldSerial(query) : undefined;
  }

  /** To be given each message in turn. Whether nothing follows this one; that is told too late rather than too soon. */
  isOver(message: Uint8Array): boolean {
    if (rcodeOf(message) !== RCODE.NOERROR) return true;
    for (const serial of serialsIn(message, uint16(message, 6))) {
      this.#records++;
      if (this.#records === 1) {
        // That is no zone.
        if (serial === undefined) return true;
        this.#serial = serial;
      } else if (this.#records === 2 && serial !== undefined && serial !== this.#serial) this.#left = 2;
      else if (serial === this.#serial && --this.#left === 0) return true;
    }
    return this.#isNothing;
  }

  /** Not even an SOA has come, or only one that is no newer than the asker's: serials go round (RFC 1982, 3.2). */
  get #isNothing(): boolean {
    if (this.#records !== 1 || this.#held === undefined) return this.#records === 0;
    return (this.#held - this.#serial) >>> 0 < 0x80_00_00_00;
  }
}

/** The asker's SOA is in the authority section (RFC 1995, 3). */
function heldSerial({ data, start, end }: QueryReader): number | undefined {
  const query = data.subarray(start, end);
  return serialsIn(query, uint16(query, 8)).next().value;
}

/** Of each of these records after the question: an SOA's serial, and undefined for others. Ends where it cannot be read. */
function* serialsIn(message: Uint8Array, count: number): Generator<number | undefined, undefined> {
  const { length } = message;
  // Messages after the first need not repeat the question.
  const hasQuestion = uint16(message, 4) === 1;
  let at = hasQuestion ? questionEnd(message) : HEADER_BYTES;
  for (let left = count; left > 0; left--) {
    const nameEnd = skipName(message, at, { end: length, mayPoint: true });
    if (nameEnd < 0 || nameEnd + FIXED_BYTES > length) return undefined;
    at = nameEnd + FIXED_BYTES + uint16(message, nameEnd + 8);
    if (at > length) return undefined;
    yield uint16(message, nameEnd) === TYPE.SOA ? uint32(message, at - SERIAL_FROM_END) : undefined;
  }
  return undefined;
}

/** Where nothing can be read it is behind everything. */
function questionEnd(message: Uint8Array): number {
  const nameEnd = skipName(message, HEADER_BYTES, { end: message.length, mayPoint: false });
  return nameEnd < 0 ? message.length : nameEnd + 4;
}
