import { answer, type Answer, type Knowledge, TABLE_TTL } from './answer.ts';
import type { DnsCounters } from './counters.ts';
import { readLabels } from './name.ts';
import { PreparedAnswer } from './prepared-answer.ts';
import { RCODE } from './protocol.ts';
import type { QueryReader } from './query.ts';
import type { ResourceRecord } from './record.ts';
import type { AskedQuestion, AnswerWriter, Reply } from './writer.ts';

/** Whoever asks for names at random, or for many long answers, must not fill the memory with them. */
const ROOM_BYTES = 4 * 1024 * 1024;
/** About what each takes besides the bytes of its question and of what was prepared for it. */
const OVERHEAD_BYTES = 350;

/** The current table, and the domain that its names are under. */
export interface KnowledgeSource {
  readonly knowledge: Knowledge;
  /** The knowledge's own. */
  readonly table: object;
}

/** What is known of one question, until the table changes. */
export type TableAnswer =
  | { readonly kind: 'answer'; readonly prepared: PreparedAnswer }
  | Extract<Answer, { kind: 'alias' | 'load' | 'forward' }>;

interface Remembered {
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
  #bytes = 0;
  #table: object | undefined;
  #serial = 0;

  constructor(options: TableAnswersOptions) {
    this.#options = options;
  }

  /** About what is taken by the answers that are remembered. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the question that was read. */
  find(query: QueryReader): TableAnswer {
    const { source } = this.#options;
    if (source.table !== this.#table) this.#renew();
    const known = this.#remembered.get(query.hash);
    if (known !== undefined && query.hasKey(known.question, query.questionEnd)) return known.found;
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
    this.#forget();
    this.#table = source.table;
    this.#serial = Math.floor(now() / 1000);
  }

  #learn(query: QueryReader): TableAnswer {
    const found = this.#decide(query, askedIn(query));
    // Whether it is known by now is asked each time.
    if (found.kind === 'load') return found;
    const question = query.key(query.questionEnd);
    const bytes = OVERHEAD_BYTES + question.length + (found.kind === 'answer' ? found.prepared.bytes : 0);
    if (this.#bytes + bytes > ROOM_BYTES) this.#forget();
    this.#bytes += bytes;
    this.#remembered.set(query.hash, { question, found });
    return found;
  }

  #forget(): void {
    this.#remembered.clear();
    this.#bytes = 0;
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
