import { placedRecords } from '../placed-records.ts';
import { TYPE, uint16 } from '../protocol.ts';

/** The upper bits of an answer's rcode, which its OPT has (RFC 6891, 6.1.3); 0 where it has none, or cannot be read. */
export function extendedRcode(answer: Uint8Array): number {
  // Most have nothing that is additional.
  if (uint16(answer, 10) === 0 || uint16(answer, 4) !== 1) return 0;
  for (const { section, type, ttlAt } of placedRecords(answer)) {
    if (section === 2 && type === TYPE.OPT) return answer[ttlAt] ?? 0;
  }
  return 0;
}
