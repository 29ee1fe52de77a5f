import { placedRecords } from '../placed-records.ts';
import { RCODE, TYPE, uint32 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import { rcodeOf } from './replies.ts';

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
    for (const serial of serialsIn(message, 0)) {
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
  return serialsIn(data.subarray(start, end), 1).next().value;
}

/** Of each record of this section: an SOA's serial, and undefined for others. Ends where it cannot be read. */
function* serialsIn(message: Uint8Array, inSection: number): Generator<number | undefined, undefined> {
  for (const { section, type, end } of placedRecords(message)) {
    if (section === inSection) yield type === TYPE.SOA ? uint32(message, end - SERIAL_FROM_END) : undefined;
  }
  return undefined;
}
