import type { Count } from './counters.ts';
import type { QueryReader } from './query.ts';
import { EDNS } from './query.ts';
import { FLAG, setUint16, uint16 } from './protocol.ts';
import { withOpt } from './writer.ts';

/** Somebody who waits for an answer. */
export interface Asker {
  /** A copy of what was asked: it stays. */
  readonly query: QueryReader;
  readonly isQuestion: boolean;
  /** The same for all that came from one socket or on one connection. */
  readonly source: string | object;
  readonly transport: 'udp' | 'tcp';
  /** How long the answer may be. */
  readonly limit: number;
  /** How many aliases led to this question. */
  readonly aliases: number;
  /** Whether it is still there. */
  readonly isWaiting: boolean;
  /** Called once. The bytes may be used again at once. `count`: what the request counts under. */
  reply(answer: Uint8Array, count: Count): void;
}

/** The answer as far as it may be for this asker: where it is too long, only that it is (RFC 2181, 9). */
export function within(answer: Uint8Array, { query, limit }: Asker): Uint8Array {
  if (answer.length <= limit) return answer;
  const cut = answer.slice(0, query.questionEnd - query.start);
  setUint16(cut, 2, uint16(answer, 2) | FLAG.TRUNCATED);
  [1, 0, 0, 0].forEach((value, index) => {
    setUint16(cut, 4 + 2 * index, value);
  });
  return query.edns === EDNS.NONE ? cut : withOpt(cut, query.edns);
}
