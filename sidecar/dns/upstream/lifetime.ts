import { skipName } from '../name.ts';
import { type PlacedRecord, placedRecords, recordCount } from '../placed-records.ts';
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
  const own = records.filter(({ section }) => section < 2).map((record) => ttlOf(answer, record));
  const minimum = soa === undefined ? [] : [uint32(answer, soa.end - 4)];
  const seconds = Math.min(LONGEST_SECONDS, ...own, ...minimum);
  if (seconds <= 0) return undefined;
  const ttls = records.flatMap((record) => [record.ttlAt, ttlOf(answer, record)]);
  return { seconds, ttls: Uint32Array.from(ttls) };
}

/** Aliases that lead to nothing of what was asked say that nothing is there (RFC 2308, 2.2). */
function hasAsked(answer: Uint8Array, records: readonly PlacedRecord[]): boolean {
  const asked = uint16(answer, skipName(answer, HEADER_BYTES, { end: answer.length, mayPoint: false }));
  return records.some(({ section, type }) => section === 0 && (asked === TYPE.ANY || type === asked));
}

function isWhole(answer: Uint8Array): boolean {
  return (uint16(answer, 2) & FLAG.TRUNCATED) === 0 && uint16(answer, 4) === 1;
}

/** All records but OPT; undefined where they cannot be read to the last byte, or an OPT tells of an error. */
function readRecords(answer: Uint8Array): PlacedRecord[] | undefined {
  const all = [...placedRecords(answer)];
  const count = [0, 1, 2].reduce((sum, section) => sum + recordCount(answer, section), 0);
  if (all.length !== count || all.at(-1)?.end !== answer.length) return undefined;
  // The upper bits of the rcode (RFC 6891, 6.1.3).
  const isError = all.some(({ type, ttlAt }) => type === TYPE.OPT && answer[ttlAt] !== 0);
  return isError ? undefined : all.filter(({ type }) => type !== TYPE.OPT);
}

function ttlOf(answer: Uint8Array, { ttlAt }: PlacedRecord): number {
  const written = uint32(answer, ttlAt);
  return written > HIGHEST_TTL ? 0 : written;
}
