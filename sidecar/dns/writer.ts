import { SOCKADDR_BYTES, writeSockaddr } from '../net/sockaddr.ts';
import { type Edns, EDNS, OPT_BYTES, type QueryReader, writeOpt } from './query.ts';
import {
  CLASS_IN,
  FLAG,
  HEADER_BYTES,
  LONGEST_MESSAGE,
  REPEATED_FLAGS,
  setUint16,
  setUint32,
  TYPE,
} from './protocol.ts';
import type { ResourceRecord } from './record.ts';

/** How long an answer to us by UDP may be: what fits into a packet anywhere (DNS flag day 2020). */
export const OUR_LIMIT = 1232;

const POINTER = 0xc000;
/** What fits into 14 bits. */
const LAST_POINTED_TO = 0x3fff;

/** As CoreDNS has it: `ttl` is the zone's minimum. */
const SOA_TIMES = { refresh: 7200, retry: 1800, expire: 86_400 } as const;

const IPV4_AT = 4;
const IPV6_AT = 8;

export interface Reply {
  readonly rcode: number;
  readonly isAuthoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority?: readonly ResourceRecord[];
  /** Left out where they don't fit. */
  readonly additional?: readonly ResourceRecord[];
}

/** A question's bytes: its name, as it was asked, type and class. */
export interface AskedQuestion {
  /** From the first label to the class. */
  readonly bytes: Uint8Array;
  /** Of its name, lower case. */
  readonly labels: readonly string[];
}

/** Ends the writing of what does not fit. */
class Full extends Error {}

/** Writes one answer after another, each in the same memory. */
export class AnswerWriter {
  readonly #data = new Uint8Array(LONGEST_MESSAGE);
  readonly #sockaddr = new Uint8Array(SOCKADDR_BYTES);
  /** Where the rest of a name stands already, by its text. */
  readonly #names = new Map<string, number>();
  #at = 0;
  #limit = 0;

  /**
   * The answer, with id 0 and the flags of no asker, without an OPT. What is too long for the limit is cut after a
   * whole record, and says so.
   */
  write(question: AskedQuestion, reply: Reply, limit: number): Uint8Array {
    this.#limit = Math.min(limit, LONGEST_MESSAGE);
    this.#names.clear();
    this.#data.fill(0, 0, HEADER_BYTES);
    this.#writeQuestion(question);
    const answers = this.#writeAll(reply.answers);
    const isCut = answers < reply.answers.length;
    const authority = isCut ? 0 : this.#writeAll(reply.authority ?? []);
    const additional = isCut ? 0 : this.#writeAll(reply.additional ?? []);
    const flags =
      FLAG.RESPONSE |
      FLAG.RECURSION_AVAILABLE |
      (reply.isAuthoritative ? FLAG.AUTHORITATIVE : 0) |
      (isCut ? FLAG.TRUNCATED : 0) |
      reply.rcode;
    [flags, 1, answers, authority, additional].forEach((value, index) => {
      setUint16(this.#data, 2 + 2 * index, value);
    });
    return this.#data.slice(0, this.#at);
  }

  #writeQuestion({ bytes, labels }: AskedQuestion): void {
    this.#data.set(bytes, HEADER_BYTES);
    let at = HEADER_BYTES;
    labels.forEach((label, index) => {
      this.#names.set(labels.slice(index).join('.'), at);
      at += label.length + 1;
    });
    this.#at = HEADER_BYTES + bytes.length;
  }

  /** How many of them fitted. */
  #writeAll(records: readonly ResourceRecord[]): number {
    for (const [index, record] of records.entries()) {
      const before = this.#at;
      try {
        this.#writeRecord(record);
      } catch (error) {
        if (!(error instanceof Full)) throw error;
        this.#at = before;
        return index;
      }
    }
    return records.length;
  }

  #writeRecord(record: ResourceRecord): void {
    this.#name(record.name);
    this.#uint16(TYPE[record.type]);
    this.#uint16(CLASS_IN);
    this.#uint32(record.ttl);
    this.#uint16(0);
    const data = this.#at;
    this.#writeData(record);
    setUint16(this.#data, data - 2, this.#at - data);
  }

  #writeData(record: ResourceRecord): void {
    switch (record.type) {
      case 'A':
      case 'AAAA':
        return this.#address(record.address);
      case 'SRV':
        for (const value of [0, record.weight, record.port]) this.#uint16(value);
        // A target is never shortened (RFC 2782).
        return this.#labels(record.target.split('.'));
      case 'SOA':
        this.#name(`ns.dns.${record.name}`);
        this.#name(`hostmaster.${record.name}`);
        for (const value of [
          record.serial,
          SOA_TIMES.refresh,
          SOA_TIMES.retry,
          SOA_TIMES.expire,
          record.ttl,
        ]) {
          this.#uint32(value);
        }
        return;
      default:
        return this.#name(record.target);
    }
  }

  #address(address: string): void {
    writeSockaddr(this.#sockaddr, 0, { address, port: 0 });
    const from = address.includes(':') ? IPV6_AT : IPV4_AT;
    const length = address.includes(':') ? 16 : 4;
    this.#needs(length);
    this.#data.set(this.#sockaddr.subarray(from, from + length), this.#at);
    this.#at += length;
  }

  #name(name: string): void {
    let rest = name;
    while (rest !== '') {
      const known = this.#names.get(rest);
      if (known !== undefined) return this.#uint16(POINTER | known);
      const dot = rest.indexOf('.');
      const label = dot < 0 ? rest : rest.slice(0, dot);
      this.#needs(label.length + 1);
      if (this.#at <= LAST_POINTED_TO) this.#names.set(rest, this.#at);
      this.#label(label);
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.#labels([]);
  }

  /** And the root's. */
  #labels(labels: readonly string[]): void {
    for (const label of labels) this.#label(label);
    this.#needs(1);
    this.#data[this.#at] = 0;
    this.#at += 1;
  }

  #label(label: string): void {
    this.#needs(label.length + 1);
    this.#data[this.#at] = label.length;
    for (let index = 0; index < label.length; index++) {
      this.#data[this.#at + 1 + index] = label.charCodeAt(index);
    }
    this.#at += label.length + 1;
  }

  #uint16(value: number): void {
    this.#needs(2);
    setUint16(this.#data, this.#at, value);
    this.#at += 2;
  }

  #uint32(value: number): void {
    this.#needs(4);
    setUint32(this.#data, this.#at, value);
    this.#at += 4;
  }

  #needs(bytes: number): void {
    if (this.#at + bytes > this.#limit) throw new Full();
  }
}

/** The same answer with an OPT at its end. */
export function withOpt(answer: Uint8Array, edns: Edns): Uint8Array {
  if (edns === EDNS.NONE) return answer;
  const bytes = new Uint8Array(answer.length + OPT_BYTES);
  bytes.set(answer);
  writeOpt(bytes, answer.length, edns, OUR_LIMIT);
  setUint16(bytes, 10, ((bytes[10] ?? 0) << 8) + (bytes[11] ?? 0) + 1);
  return bytes;
}

/** Makes an answer that was written before the answer to this query: its id, its flags and its question as asked. */
export function addressTo(answer: Uint8Array, query: QueryReader): void {
  const { data, start, flags } = query;
  answer[0] = data[start] ?? 0;
  answer[1] = data[start + 1] ?? 0;
  const own = (((answer[2] ?? 0) << 8) | (answer[3] ?? 0)) & ~REPEATED_FLAGS;
  setUint16(answer, 2, own | (flags & REPEATED_FLAGS));
  for (let at = HEADER_BYTES, from = query.nameStart; from < query.nameEnd; at++, from++) {
    answer[at] = data[from] ?? 0;
  }
}

/** Nothing but a header and, where it could be read, the question. */
export function emptyAnswer(query: QueryReader, rcode: number, hasQuestion: boolean): Uint8Array {
  const { data, start, flags } = query;
  const end = hasQuestion ? query.questionEnd : start + HEADER_BYTES;
  const answer = data.slice(start, end);
  setUint16(
    answer,
    2,
    FLAG.RESPONSE | FLAG.RECURSION_AVAILABLE | (flags & (FLAG.OPCODE | REPEATED_FLAGS)) | rcode,
  );
  [hasQuestion ? 1 : 0, 0, 0, 0].forEach((value, index) => {
    setUint16(answer, 4 + 2 * index, value);
  });
  return hasQuestion ? withOpt(answer, query.edns) : answer;
}
