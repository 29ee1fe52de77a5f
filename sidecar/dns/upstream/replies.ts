import { type Asker, within } from '../asker.ts';
import type { Count, DnsCounters } from '../counters.ts';
import { FLAG, HEADER_BYTES, RCODE, setUint16, uint16 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import { addressTo, emptyAnswer } from '../writer.ts';
import type { AnswerCache } from './cache.ts';
import { extendedRcode } from './extended-rcode.ts';
import { isShared } from './flight.ts';
import type { Servers } from './servers.ts';
import type { Surroundings } from './surroundings.ts';

/** What askers are answered for whom no server has an answer. */
export class Replies {
  readonly #cache: AnswerCache;
  readonly #counters: DnsCounters;
  readonly #servers: Servers;

  constructor({ cache, counters, servers }: Pick<Surroundings, 'cache' | 'counters' | 'servers'>) {
    this.#cache = cache;
    this.#servers = servers;
    this.#counters = counters;
  }

  hasStale(query: QueryReader): boolean {
    return this.#cache.findStale(query) !== undefined;
  }

  /** With what is past its time (RFC 8767). Whether there was something. */
  stale(askers: readonly Asker[]): boolean {
    const [first] = askers;
    if (first === undefined || !this.hasStale(first.query)) return false;
    for (const asker of askers) {
      const stale = this.#cache.findStale(asker.query);
      if (stale !== undefined) reply(asker, stale.bytes, stale.count);
    }
    return true;
  }

  /** Where servers were asked this a moment ago and have answered nothing since, this or other. Whether they were. */
  staleAtOnce(asker: Asker): boolean {
    const { query, isQuestion } = asker;
    const mayBeKept = isQuestion && isShared(query);
    return mayBeKept && this.#cache.hasFailed(query, this.#servers.answeredMs) && this.stale([asker]);
  }

  refuse(asker: Asker): void {
    this.#counters.refused++;
    this.fail(asker);
  }

  fail(asker: Asker): void {
    const { query, isQuestion } = asker;
    const count = this.#counters.of(typeOf(asker), 'sidecar', RCODE.SERVFAIL);
    asker.reply(emptyAnswer(query, RCODE.SERVFAIL, isQuestion), count);
  }
}

/** A server's answer. */
export function reply(asker: Asker, answer: Uint8Array, count: Count): void {
  const { query, isQuestion } = asker;
  const repeatsQuestion = isQuestion && uint16(answer, 4) === 1;
  if (repeatsQuestion) addressTo(answer, query);
  else answer.set(query.data.subarray(query.start, query.start + 2));
  asker.reply(repeatsQuestion ? within(answer, asker) : headerWithin(answer, asker), count);
}

/** Of what is too long and has no question that can be told from the rest, the header, which says so. */
function headerWithin(answer: Uint8Array, { limit }: Asker): Uint8Array {
  if (answer.length <= limit) return answer;
  const header = answer.slice(0, HEADER_BYTES).fill(0, 4);
  setUint16(header, 2, uint16(header, 2) | FLAG.TRUNCATED);
  return header;
}

export function typeOf({ query, isQuestion }: Pick<Asker, 'query' | 'isQuestion'>): number {
  return isQuestion ? query.type : 0;
}

export function rcodeOf(answer: Uint8Array): number {
  return (extendedRcode(answer) << 4) | (uint16(answer, 2) & FLAG.RCODE);
}
