import { FLAG, HEADER_BYTES, LONGEST_MESSAGE, setUint16, TYPE, uint16, uint32 } from './protocol.ts';
import { formatIPv4, formatIPv6 } from '../native/sockaddr.ts';
import { readLabels, skipName } from './name.ts';
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
  const end = Math.min(answer.length, LONGEST_MESSAGE);
  const question = skipName(answer, HEADER_BYTES, { end, mayPoint: false });
  const records: ResourceRecord[] = [];
  let at = question + 4;
  for (let left = question < 0 ? 0 : uint16(answer, 6); left > 0; left--) {
    const name = skipName(answer, at, { end, mayPoint: true });
    const next = name + 10 + uint16(answer, name + 8);
    if (name < 0 || next > end) break;
    const record = readRecord(answer, at, name);
    if (record !== undefined) records.push(record);
    at = next;
  }
  return records;
}

function readRecord(answer: Uint8Array, at: number, afterName: number): ResourceRecord | undefined {
  const name = nameAt(answer, at);
  if (name === undefined) return undefined;
  const own = { name, ttl: uint32(answer, afterName + 4) };
  const data = afterName + 10;
  const length = uint16(answer, afterName + 8);
  switch (uint16(answer, afterName)) {
    case TYPE.A:
      return length === 4 ? { ...own, type: 'A', address: formatIPv4(answer, data) } : undefined;
    case TYPE.AAAA:
      return length === 16 ? { ...own, type: 'AAAA', address: formatIPv6(answer, data) } : undefined;
    case TYPE.CNAME:
      return aliasOf(own, nameAt(answer, data));
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
function nameAt(answer: Uint8Array, at: number): string | undefined {
  const labels = readLabels(answer, at, { message: 0, end: answer.length });
  const isPlain = labels !== undefined && labels.length > 0 && !labels.some((label) => label.includes('.'));
  return isPlain ? labels.join('.') : undefined;
}
