import { skipName } from '../name.ts';
import { HEADER_BYTES, TYPE, uint16 } from '../protocol.ts';

/** The upper bits of an answer's rcode, which its OPT has (RFC 6891, 6.1.3); 0 where it has none, or cannot be read. */
export function extendedRcode(answer: Uint8Array): number {
  const additional = uint16(answer, 10);
  if (additional === 0 || uint16(answer, 4) !== 1) return 0;
  const end = answer.length;
  const question = skipName(answer, HEADER_BYTES, { end, mayPoint: false });
  if (question < 0) return 0;
  let at = question + 4;
  for (let left = uint16(answer, 6) + uint16(answer, 8) + additional; left > 0; left--) {
    const name = skipName(answer, at, { end, mayPoint: true });
    if (name < 0 || name + 10 > end) return 0;
    if (left <= additional && uint16(answer, name) === TYPE.OPT) return answer[name + 4] ?? 0;
    at = name + 10 + uint16(answer, name + 8);
  }
  return 0;
}
