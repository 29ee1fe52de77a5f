import { answer, type Answer, type Knowledge, TABLE_TTL } from './answer.ts';
import type { Count, DnsCounters } from './counters.ts';
import { lowerCase, readLabels } from './name.ts';
import { FLAG, HEADER_BYTES, LONGEST_MESSAGE, RCODE, setUint16, uint16 } from './protocol.ts';
import { type Edns, EDNS, OPT_BYTES, type QueryReader } from './query.ts';
import type { ResourceRecord } from './record.ts';
import { type AskedQuestion, type AnswerWriter, type Reply, withOpt } from './writer.ts';

/** Whoever asks for names at random must not fill the memory with them. */
const MOST_QUESTIONS = 8192;

/** Of an address record whose name is a pointer to the question's: the rest of it, before the address, is 10 bytes. */
const RECORD_BYTES = { A: 2 + 10 + 4, AAAA: 2 + 10 + 16 } as const;
/** The record that goes from the first place to the last. */
const moved = new Uint8Array(RECORD_BYTES.AAAA);

/** What the table says, and a number that changes with how far it can be relied on. */
export interface KnowledgeSource {
  readonly knowledge: Knowledge;
  /** The knowledge's own. */
  readonly table: object;
  readonly version: number;
}

/** What is known of one question, until the table changes. */
export type TableAnswer =
  | { readonly kind: 'answer'; readonly prepared: PreparedAnswer }
  | Extract<Answer, { kind: 'alias' | 'load' | 'forward' }>;

/**
 * Answers that are ready to be sent once they are addressed to somebody. Many programs take the first address only:
 * each time another is the first, until all that fit into a message have been. Other records stay in their order.
 */
export class PreparedAnswer {
  readonly count: Count;
  readonly #question: AskedQuestion;
  readonly #reply: Reply;
  readonly #writer: AnswerWriter;
  /** Where the first address record is, and how long each is; 0 where none has to move. */
  readonly #recordsAt: number;
  readonly #recordBytes: number;
  /** By EDNS. */
  readonly #whole: (Uint8Array | undefined)[] = [undefined, undefined, undefined];
  /**
   * The same, for those who get a part. They ask again by TCP: if both took turns with one message, of an even number
   * of addresses every other one would never come first.
   */
  readonly #toBeCut: (Uint8Array | undefined)[] = [undefined, undefined, undefined];

  constructor(
    question: AskedQuestion,
    reply: Reply,
    { writer, count }: { readonly writer: AnswerWriter; readonly count: Count },
  ) {
    this.#question = question;
    this.#reply = reply;
    this.#writer = writer;
    this.#recordsAt = HEADER_BYTES + question.bytes.length;
    this.#recordBytes = bytesOfEach(reply.answers);
    this.count = count;
  }

  /** To be addressed and sent at once: the same bytes serve the next asker. */
  bytesFor({ edns }: QueryReader, limit: number): Uint8Array {
    const whole = (this.#whole[edns] ??= this.#write(edns, LONGEST_MESSAGE));
    if (whole.length <= limit) return this.#turn(whole);
    if (this.#recordBytes === 0) return this.#write(edns, limit);
    const toBeCut = (this.#toBeCut[edns] ??= whole.slice());
    return this.#cut(this.#turn(toBeCut), edns, limit);
  }

  #write(edns: Edns, limit: number): Uint8Array {
    return withOpt(this.#writer.write(this.#question, this.#reply, limit - optBytes(edns)), edns);
  }

  /** The same message, with the first address at the end of the others. */
  #turn(message: Uint8Array): Uint8Array {
    const first = this.#recordsAt;
    const bytes = this.#recordBytes;
    if (bytes === 0) return message;
    const last = first + (uint16(message, 6) - 1) * bytes;
    for (let at = 0; at < bytes; at++) moved[at] = message[first + at] ?? 0;
    message.copyWithin(first, first + bytes, last + bytes);
    for (let at = 0; at < bytes; at++) message[last + at] = moved[at] ?? 0;
    return message;
  }

  /** A copy with as many addresses as fit, which says that there are more. */
  #cut(message: Uint8Array, edns: Edns, limit: number): Uint8Array {
    const room = limit - optBytes(edns) - this.#recordsAt;
    const fitting = Math.max(0, Math.floor(room / this.#recordBytes));
    const cut = message.slice(0, this.#recordsAt + fitting * this.#recordBytes);
    setUint16(cut, 2, uint16(cut, 2) | FLAG.TRUNCATED);
    setUint16(cut, 6, fitting);
    // The OPT is behind what was cut off, and comes back.
    setUint16(cut, 10, 0);
    return withOpt(cut, edns);
  }
}

/** Of address records, which alone take turns. */
function bytesOfEach(answers: readonly ResourceRecord[]): number {
  const type = answers[0]?.type;
  return answers.length > 1 && (type === 'A' || type === 'AAAA') ? RECORD_BYTES[type] : 0;
}

function optBytes(edns: Edns): number {
  return edns === EDNS.NONE ? 0 : OPT_BYTES;
}

interface Remembered {
  /** The question's bytes, in lower case. */
  readonly question: Uint8Array;
  readonly found: TableAnswer;
}

export interface TableAnswersOptions {
  readonly source: KnowledgeSource;
  readonly writer: AnswerWriter;
  readonly counters: DnsCounters;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Answers from the table, each made once for as long as the table stays the same. */
export class TableAnswers {
  readonly #options: TableAnswersOptions;
  readonly #remembered = new Map<number, Remembered>();
  #table: object | undefined;
  #version = -1;
  #serial = 0;

  constructor(options: TableAnswersOptions) {
    this.#options = options;
  }

  /** Of the question that was read. */
  find(query: QueryReader): TableAnswer {
    const { source } = this.#options;
    if (source.table !== this.#table || source.version !== this.#version) this.#renew();
    const known = this.#remembered.get(query.hash);
    if (known !== undefined && isSame(known.question, query)) return known.found;
    return this.#learn(query);
  }

  /** Whether the cluster's own DNS has the say about a name. */
  isOfCluster(labels: readonly string[]): boolean {
    const { domain } = this.#options.source.knowledge;
    return domain.every((label, index) => labels[labels.length - domain.length + index] === label);
  }

  /** That the name is there, and nothing of the kind. */
  noData(query: QueryReader): PreparedAnswer {
    const { source, writer, counters } = this.#options;
    const reply = this.#replyOf({ kind: 'no-data' }, source.knowledge.domain);
    const count = counters.of(query.type, 'table', reply.rcode);
    return new PreparedAnswer(askedIn(query), reply, { writer, count });
  }

  #renew(): void {
    const { source, now } = this.#options;
    this.#remembered.clear();
    this.#table = source.table;
    this.#version = source.version;
    this.#serial = Math.floor(now() / 1000);
  }

  #learn(query: QueryReader): TableAnswer {
    const found = this.#decide(query, askedIn(query));
    // Whether it is known by now is asked each time.
    if (found.kind === 'load') return found;
    if (this.#remembered.size >= MOST_QUESTIONS) this.#remembered.clear();
    this.#remembered.set(query.hash, { question: lowered(query), found });
    return found;
  }

  #decide(query: QueryReader, question: AskedQuestion): TableAnswer {
    const { source, writer, counters } = this.#options;
    const decided = answer(
      { labels: question.labels, type: query.type, class: query.class },
      source.knowledge,
    );
    if (decided.kind === 'alias' || decided.kind === 'load' || decided.kind === 'forward') return decided;
    const reply = this.#replyOf(decided, source.knowledge.domain);
    const count = counters.of(query.type, 'table', reply.rcode);
    return { kind: 'answer', prepared: new PreparedAnswer(question, reply, { writer, count }) };
  }

  #replyOf(
    decided: Extract<Answer, { kind: 'records' | 'no-data' | 'no-name' }>,
    domain: readonly string[],
  ): Reply {
    if (decided.kind === 'records') {
      const { answers, additional } = decided;
      return { rcode: RCODE.NOERROR, isAuthoritative: true, answers, additional };
    }
    const rcode = decided.kind === 'no-name' ? RCODE.NXDOMAIN : RCODE.NOERROR;
    return { rcode, isAuthoritative: true, answers: [], authority: [this.#zone(domain)] };
  }

  /** The start of the cluster's zone, which tells for how long nothing need be asked again (RFC 2308). */
  #zone(domain: readonly string[]): ResourceRecord {
    return { type: 'SOA', name: domain.join('.'), ttl: TABLE_TTL, serial: this.#serial };
  }
}

/** A copy of the question. */
export function askedIn({ data, start, nameStart, questionEnd }: QueryReader): AskedQuestion {
  const labels = readLabels(data, nameStart, { message: start, end: questionEnd }) ?? [];
  return { bytes: data.slice(nameStart, questionEnd), labels };
}

function lowered({ data, nameStart, nameEnd, questionEnd }: QueryReader): Uint8Array {
  const question = data.slice(nameStart, questionEnd);
  for (let at = 0; at < nameEnd - nameStart; at++) question[at] = lowerCase(question[at] ?? 0);
  return question;
}

function isSame(question: Uint8Array, { data, nameStart, nameEnd, questionEnd }: QueryReader): boolean {
  if (question.length !== questionEnd - nameStart) return false;
  let at = nameStart;
  for (; at < nameEnd; at++) {
    if (question[at - nameStart] !== lowerCase(data[at] ?? 0)) return false;
  }
  for (; at < questionEnd; at++) {
    if (question[at - nameStart] !== data[at]) return false;
  }
  return true;
}
