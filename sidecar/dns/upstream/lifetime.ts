import { skipName } from '../name.ts';
import { FLAG, HEADER_BYTES, RCODE, TYPE, uint16, uint32 } from '../protocol.ts';

/** For how long an answer may be kept, and where that is written in it. */
export interface Lifetime {
  readonly seconds: number;
  /** By twos: where a record's time to live is, and its seconds. There are many of them. */
  readonly ttls: Uint32Array;
}

/** Nothing is kept longer, whatever it says (RFC 8767, 4). */
const LONGEST_SECONDS = 86_400;
/** A time to live with the highest bit set counts as none (RFC 2181, 8). */
const HIGHEST_TTL = 0x7fff_ffff;

/**
 * How long this answer to one question lives; undefined where it must not be kept: errors, what was cut, what cannot
 * be read to its end, and that nothing is there where nobody said for how long (RFC 2308, 5).
 */
export function lifetimeOf(answer: Uint8Array): Lifetime | undefined {
  const rcode = uint16(answer, 2) & FLAG.RCODE;
  const records = isWhole(answer) ? readRecords(answer) : undefined;
  if (records === undefined || (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)) return undefined;
  const isNegative = rcode === RCODE.NXDOMAIN || !hasAsked(answer, records);
  const soa = records.find(({ section, type }) => section === 1 && type === TYPE.SOA);
  if (isNegative && soa === undefined) return undefined;
  const own = records.filter(({ section }) => section < 2).map(({ ttl }) => ttl);
  const minimum = soa === undefined ? [] : [uint32(answer, soa.end - 4)];
  const seconds = Math.min(LONGEST_SECONDS, ...own, ...minimum);
  if (seconds <= 0) return undefined;
  return { seconds, ttls: Uint32Array.from(records.flatMap(({ ttlAt, ttl }) => [ttlAt, ttl])) };
}

/** Aliases that lead to nothing of what was asked say that nothing is there (RFC 2308, 2.2). */
function hasAsked(answer: Uint8Array, records: readonly PlacedRecord[]): boolean {
  const asked = uint16(answer, skipName(answer, HEADER_BYTES, { end: answer.length, mayPoint: false }));
  return records.some(({ section, type }) => section === 0 && (asked === TYPE.ANY || type === asked));
}

function isWhole(answer: Uint8Array): boolean {
  return (uint16(answer, 2) & FLAG.TRUNCATED) === 0 && uint16(answer, 4) === 1;
}

interface PlacedRecord {
  /** 0 the answer, 1 the authority, 2 what is additional. */
  readonly section: number;
  readonly type: number;
  readonly ttlAt: number;
  /** In seconds. */
  readonly ttl: number;
  readonly end: number;
}

/** All records but OPT; undefined where they cannot be read to the last byte, or an OPT tells of an error. */
function readRecords(answer: Uint8Array): PlacedRecord[] | undefined {
  const end = answer.length;
  const name = skipName(answer, HEADER_BYTES, { end, mayPoint: false });
  if (name < 0) return undefined;
  let at = name + 4;
  const records: PlacedRecord[] = [];
  for (let section = 0; section < 3; section++) {
    for (let left = uint16(answer, 6 + 2 * section); left > 0; left--) {
      const record = readRecord(answer, at, section);
      if (record === undefined) return undefined;
      if (record.type !== TYPE.OPT) records.push(record);
      // The upper bits of the rcode (RFC 6891, 6.1.3).
      else if (answer[record.ttlAt] !== 0) return undefined;
      at = record.end;
    }
  }
  return at === end ? records : undefined;
}

function readRecord(answer: Uint8Array, at: number, section: number): PlacedRecord | undefined {
  const name = skipName(answer, at, { end: answer.length, mayPoint: true });
  if (name < 0 || name + 10 > answer.length) return undefined;
  const end = name + 10 + uint16(answer, name + 8);
  const written = uint32(answer, name + 4);
  const ttl = written > HIGHEST_TTL ? 0 : written;
  return end > answer.length ? undefined : { section, type: uint16(answer, name), ttlAt: name + 4, ttl, end };
}
