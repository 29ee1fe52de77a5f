import { lowerCase, skipName } from './name.ts';
import { FLAG, HEADER_BYTES, PLAIN_LIMIT, TYPE, uint16 } from './protocol.ts';

/**
 * What came: a `question` as resolvers ask it; `malformed`, which is told its asker; `unusual`, which is well-formed
 * as far as it was read and none of our business; `ignored`, an answer or less than a header, to which nobody may
 * answer, or two servers would go on for ever.
 */
export type Kind = 'question' | 'malformed' | 'unusual' | 'ignored';

/** As `edns` says: without EDNS, with it, and with signatures (DO) wished for. */
export const EDNS = { NONE: 0, PLAIN: 1, DNSSEC: 2 } as const;
export type Edns = (typeof EDNS)[keyof typeof EDNS];

/** The root, type, class, extended rcode, version, flags and length (RFC 6891, 6.1.2). */
export const OPT_BYTES = 11;
const OPT_SIZE_AT = 3;
const OPT_VERSION_AT = 6;
const OPT_FLAGS_AT = 7;
const OPT_LENGTH_AT = 9;
const DNSSEC_OK = 0x8000;

const FNV_PRIME = 0x01_00_01_93;

/**
 * Reads one query at a time, in place and without making anything: its fields are those of the last one read. They
 * are positions in the bytes that were given.
 */
export class QueryReader {
  data: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  flags = 0;
  /** After the root of the question's name. */
  nameEnd = 0;
  /** 0 where there is no question that can be read. */
  type = 0;
  class = 0;
  /** After the question. */
  questionEnd = 0;
  edns: Edns = EDNS.NONE;
  /** How long an answer by UDP may be. */
  limit = PLAIN_LIMIT;
  hasOptions = false;
  /** Of the question, in whichever case its letters are: 30 bits. */
  hash = 0;
  readonly #seed: number;

  /** `seed`: what nobody else knows, so that nobody can find names that meet. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get id(): number {
    return uint16(this.data, this.start);
  }

  /** Where the first label is. */
  get nameStart(): number {
    return this.start + HEADER_BYTES;
  }

  read(data: Uint8Array, start: number, end: number): Kind {
    this.data = data;
    this.start = start;
    this.end = end;
    this.type = 0;
    if (end - start < HEADER_BYTES) return 'ignored';
    this.flags = uint16(data, start + 2);
    if ((this.flags & FLAG.RESPONSE) !== 0) return 'ignored';
    if ((this.flags & FLAG.OPCODE) !== 0 || uint16(data, start + 4) !== 1) return 'unusual';
    if (!this.#readQuestion()) return 'malformed';
    // Neither answers nor authorities.
    if (uint16(data, start + 6) !== 0 || uint16(data, start + 8) !== 0) return 'unusual';
    return this.#readAdditional(uint16(data, start + 10)) ? 'question' : 'unusual';
  }

  /** Hashes on over what the question is followed by, and the flags. */
  hashWithRest(): number {
    let hash = Math.imul(this.hash ^ this.flags, FNV_PRIME);
    for (let at = this.questionEnd; at < this.end; at++) {
      hash = Math.imul(hash ^ (this.data[at] ?? 0), FNV_PRIME);
    }
    return hash >>> 2;
  }

  /** The question and what follows it until `end`, with the name in lower case: what it is known by, to be kept. */
  key(end: number): Uint8Array {
    const key = new Uint8Array(this.data.subarray(this.nameStart, end));
    for (let at = 0; at < this.nameEnd - this.nameStart; at++) key[at] = lowerCase(key[at] ?? 0);
    return key;
  }

  /** Whether that is the key of what was read. */
  hasKey(key: Uint8Array, end: number): boolean {
    const { data, nameStart, nameEnd } = this;
    if (key.length !== end - nameStart) return false;
    let at = nameStart;
    for (; at < nameEnd; at++) {
      if (key[at - nameStart] !== lowerCase(data[at] ?? 0)) return false;
    }
    for (; at < end; at++) {
      if (key[at - nameStart] !== data[at]) return false;
    }
    return true;
  }

  /** Of the same bytes, to be kept; and what it is. */
  copy(): { readonly query: QueryReader; readonly kind: Kind } {
    const query = new QueryReader(this.#seed);
    const bytes = this.data.slice(this.start, this.end);
    return { query, kind: query.read(bytes, 0, bytes.length) };
  }

  #readQuestion(): boolean {
    const { data, nameStart, end } = this;
    // A question comes first: there is nothing before it that could be pointed to.
    const nameEnd = skipName(data, nameStart, { end, mayPoint: false });
    if (nameEnd < 0 || nameEnd + 4 > end) return false;
    let hash = this.#seed;
    for (let at = nameStart; at < nameEnd; at++) {
      hash = Math.imul(hash ^ lowerCase(data[at] ?? 0), FNV_PRIME);
    }
    for (let at = nameEnd; at < nameEnd + 4; at++) hash = Math.imul(hash ^ (data[at] ?? 0), FNV_PRIME);
    this.hash = (hash ^ (hash >>> 15)) >>> 2;
    this.nameEnd = nameEnd;
    this.questionEnd = nameEnd + 4;
    this.type = uint16(data, nameEnd);
    this.class = uint16(data, nameEnd + 2);
    return true;
  }

  /** Nothing, or one OPT of the known version (RFC 6891). */
  #readAdditional(count: number): boolean {
    const { data, questionEnd: at, end } = this;
    this.edns = EDNS.NONE;
    this.limit = PLAIN_LIMIT;
    this.hasOptions = false;
    if (count === 0) return at === end;
    const isOpt = count === 1 && at + OPT_BYTES <= end && data[at] === 0 && uint16(data, at + 1) === TYPE.OPT;
    if (!isOpt || data[at + OPT_VERSION_AT] !== 0) return false;
    const optionBytes = uint16(data, at + OPT_LENGTH_AT);
    this.hasOptions = optionBytes > 0;
    this.edns = (uint16(data, at + OPT_FLAGS_AT) & DNSSEC_OK) === 0 ? EDNS.PLAIN : EDNS.DNSSEC;
    this.limit = Math.max(PLAIN_LIMIT, uint16(data, at + OPT_SIZE_AT));
    return at + OPT_BYTES + optionBytes === end;
  }
}

/** An OPT without options. */
export function writeOpt(data: Uint8Array, at: number, edns: Edns, size: number): void {
  data.fill(0, at, at + OPT_BYTES);
  data[at + 2] = TYPE.OPT;
  data[at + OPT_SIZE_AT] = size >> 8;
  data[at + OPT_SIZE_AT + 1] = size & 0xff;
  if (edns === EDNS.DNSSEC) data[at + OPT_FLAGS_AT] = DNSSEC_OK >> 8;
}
