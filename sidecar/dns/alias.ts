import { FLAG, HEADER_BYTES, setUint16, TYPE, uint32 } from './protocol.ts';
import { formatIPv4, formatIPv6 } from '../net/sockaddr.ts';
import { readLabels } from './name.ts';
import { type PlacedRecord, placedRecords } from './placed-records.ts';
import type { ResourceRecord } from './record.ts';

/** As CoreDNS has it: what leads on and on leads nowhere. */
export const MOST_ALIASES = 8;

/** A query for this name and type, as a resolver asks it. */
export function queryFor(labels: readonly string[], type: number): Uint8Array {
  const length = labels.reduce((sum, label) => sum + label.length + 1, 0);
  const bytes = new Uint8Array(HEADER_BYTES + length + 5);
  setUint16(bytes, 2, FLAG.RECURSION_DESIRED);
  setUint16(bytes, 4, 1);
  let at = HEADER_BYTES;
  for (const label of labels) {
    bytes[at] = label.length;
    for (let index = 0; index < label.length; index++) bytes[at + 1 + index] = label.charCodeAt(index);
    at += label.length + 1;
  }
  setUint16(bytes, at + 1, type);
  setUint16(bytes, at + 3, 1);
  return bytes;
}

/** The addresses in an answer and the aliases that lead to them, as far as they can be read. */
export function addressesIn(answer: Uint8Array): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (const placed of placedRecords(answer)) {
    const record = placed.section === 0 ? readRecord(answer, placed) : undefined;
    if (record !== undefined) records.push(record);
  }
  return records;
}

function readRecord(
  answer: Uint8Array,
  { nameAt, type, ttlAt, dataAt, end }: PlacedRecord,
): ResourceRecord | undefined {
  const name = nameIn(answer, nameAt);
  if (name === undefined) return undefined;
  const own = { name, ttl: uint32(answer, ttlAt) };
  const length = end - dataAt;
  switch (type) {
    case TYPE.A:
      return length === 4 ? { ...own, type: 'A', address: formatIPv4(answer, dataAt) } : undefined;
    case TYPE.AAAA:
      return length === 16 ? { ...own, type: 'AAAA', address: formatIPv6(answer, dataAt) } : undefined;
    case TYPE.CNAME:
      return aliasOf(own, nameIn(answer, dataAt));
    default:
      return undefined;
  }
}

function aliasOf(
  own: { readonly name: string; readonly ttl: number },
  target: string | undefined,
): ResourceRecord | undefined {
  return target === undefined ? undefined : { ...own, type: 'CNAME', target };
}

/** Undefined for what cannot be written as text and back, too. */
function nameIn(answer: Uint8Array, at: number): string | undefined {
  const labels = readLabels(answer, at, { message: 0, end: answer.length });
  const isPlain = labels !== undefined && labels.length > 0 && !labels.some((label) => label.includes('.'));
  return isPlain ? labels.join('.') : undefined;
}
