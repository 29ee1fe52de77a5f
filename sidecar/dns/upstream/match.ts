import { FLAG, HEADER_BYTES, RCODE, uint16 } from '../protocol.ts';

/** What was put to a server. */
export interface SentQuery {
  readonly bytes: Uint8Array;
  /** After the question; 0 where there is none that an answer must repeat. */
  readonly questionEnd: number;
}

/** Servers that cannot read the question cannot repeat it, and some that refuse do not. */
const WITHOUT_QUESTION: ReadonlySet<number> = new Set([
  RCODE.FORMERR,
  RCODE.NOTIMP,
  RCODE.SERVFAIL,
  RCODE.REFUSED,
]);

/** Whether this is an answer to that, the letters' case included (RFC 5452, 9.1). */
export function answers(answer: Uint8Array, { bytes, questionEnd }: SentQuery): boolean {
  if (answer.length < HEADER_BYTES || uint16(answer, 0) !== uint16(bytes, 0)) return false;
  const flags = uint16(answer, 2);
  if ((flags & FLAG.RESPONSE) === 0 || ((flags ^ uint16(bytes, 2)) & FLAG.OPCODE) !== 0) return false;
  if (questionEnd === 0) return true;
  if (uint16(answer, 4) === 0) return WITHOUT_QUESTION.has(flags & FLAG.RCODE);
  return uint16(answer, 4) === 1 && answer.length >= questionEnd && repeats(answer, bytes, questionEnd);
}

function repeats(answer: Uint8Array, bytes: Uint8Array, questionEnd: number): boolean {
  for (let at = HEADER_BYTES; at < questionEnd; at++) {
    if (answer[at] !== bytes[at]) return false;
  }
  return true;
}
