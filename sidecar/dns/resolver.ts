import type { Lease } from '../services/decision.ts';
import { addressesIn, MOST_ALIASES, queryFor } from './alias.ts';
import { TABLE_TTL } from './answer.ts';
import { type Asker, within } from './asker.ts';
import type { Count, DnsCounters } from './counters.ts';
import { labelsOf } from './name.ts';
import { FLAG, LONGEST_MESSAGE, RCODE, TYPE, uint16 } from './protocol.ts';
import { type Kind, OPT_BYTES, QueryReader } from './query.ts';
import type { ResourceRecord } from './record.ts';
import type { PreparedAnswer } from './prepared-answer.ts';
import { askedIn, type TableAnswers } from './table-answers.ts';
import type { Forwarder } from './upstream/forwarder.ts';
import { addressTo, type AnswerWriter, type AskedQuestion, emptyAnswer, withOpt } from './writer.ts';

/** So many may wait for endpoints at one time; the others' questions are forwarded. */
const MOST_WAITING = 1024;

/** A zone is for secondary servers to transfer, from its own server (RFC 5936, RFC 1995). */
function isTransfer({ type }: QueryReader): boolean {
  return type === TYPE.AXFR || type === TYPE.IXFR;
}

/** What can be told at once. */
export interface Now {
  bytes: Uint8Array;
  count: Count;
}

export interface ResolverOptions {
  readonly table: TableAnswers;
  readonly forwarder: Forwarder;
  readonly writer: AnswerWriter;
  readonly counters: DnsCounters;
  /** Keeps the endpoints of a Service. */
  readonly use: (service: string) => Lease;
  /** Only a number that nobody knows: see QueryReader. */
  readonly seed: number;
}

/** Finds the answer to each question, at once where it is known here, and otherwise later. */
export class Resolver {
  readonly #options: ResolverOptions;
  /** The same each time. */
  readonly #now: Now;
  #waiting = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#now = { bytes: new Uint8Array(0), count: options.counters.of(0, 'sidecar', RCODE.FORMERR) };
  }

  /**
   * The answer to what was read, where it is known; to be sent before the next is asked for. Undefined: ask `later`.
   * @param limit how long it may be
   */
  now(query: QueryReader, kind: Kind, limit: number): Now | undefined {
    if (kind === 'malformed') return this.#withoutAnswer(query, 0, RCODE.FORMERR);
    if (isTransfer(query)) return this.#withoutAnswer(query, query.type, RCODE.REFUSED);
    const found = kind === 'question' ? this.#options.table.find(query) : undefined;
    if (found?.kind === 'answer') return this.#fromTable(query, found.prepared, limit);
    return found?.kind === 'forward' ? this.#fromCache(query, limit) : undefined;
  }

  /** Answers in the end, whatever happens. */
  later(asker: Asker): void {
    const { query, isQuestion } = asker;
    const found = isQuestion ? this.#options.table.find(query) : undefined;
    if (found?.kind === 'load') void this.#answerLoaded(asker, found.service);
    else if (found?.kind === 'alias') void this.#answerAlias(asker, found.target);
    else this.#answerOrForward(asker);
  }

  /** A connection is gone: nobody waits there any more. */
  left(source: Asker['source']): void {
    this.#options.forwarder.left(source);
  }

  /** @param type the type that was asked for, 0 where the question cannot be read */
  #withoutAnswer(query: QueryReader, type: number, rcode: number): Now {
    const now = this.#now;
    now.bytes = emptyAnswer(query, rcode, type !== 0);
    now.count = this.#options.counters.of(type, 'sidecar', rcode);
    return now;
  }

  #fromTable(query: QueryReader, prepared: PreparedAnswer, limit: number): Now {
    const now = this.#now;
    now.bytes = prepared.bytesFor(query, limit);
    now.count = prepared.count;
    addressTo(now.bytes, query);
    return now;
  }

  #fromCache(query: QueryReader, limit: number): Now | undefined {
    const { forwarder } = this.#options;
    const cached = forwarder.cached(query);
    if (cached === undefined) return undefined;
    // Cutting is for `later`.
    if (cached.bytes.length > limit) return undefined;
    const now = this.#now;
    now.bytes = cached.bytes;
    now.count = cached.count;
    return now;
  }

  /** The table or the cache may know by now what they did not a moment ago, or what was too long to send at once. */
  #answerOrForward(asker: Asker): void {
    const { query, isQuestion, limit } = asker;
    const found = isQuestion ? this.#options.table.find(query) : undefined;
    const now =
      found?.kind === 'answer'
        ? this.#fromTable(query, found.prepared, limit)
        : found?.kind === 'forward'
          ? this.#fromCache(query, LONGEST_MESSAGE)
          : undefined;
    if (now === undefined) this.#options.forwarder.forward(asker);
    else asker.reply(within(now.bytes, asker), now.count);
  }

  async #answerLoaded(asker: Asker, service: string): Promise<void> {
    if (this.#waiting >= MOST_WAITING) return this.#options.forwarder.forward(asker);
    this.#waiting++;
    const lease = this.#options.use(service);
    await lease.known;
    this.#waiting--;
    this.#answerOrForward(asker);
    lease.release();
  }

  async #answerAlias(asker: Asker, target: string): Promise<void> {
    const { query, aliases } = asker;
    const labels = labelsOf(target);
    if (labels === undefined || aliases >= MOST_ALIASES) return this.#options.forwarder.forward(asker);
    const { table, counters } = this.#options;
    const question = askedIn(query);
    const name = question.labels.join('.');
    const alias: ResourceRecord = { type: 'CNAME', name, ttl: TABLE_TTL, target: labels.join('.') };
    if (query.type === TYPE.CNAME) return this.#replyAlias(asker, question, [alias]);
    const found = await this.#askForAll(asker, labels);
    const rcode = uint16(found, 2) & FLAG.RCODE;
    if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) {
      const count = counters.of(query.type, 'sidecar', RCODE.SERVFAIL);
      return asker.reply(emptyAnswer(query, RCODE.SERVFAIL, true), count);
    }
    const addresses = addressesIn(found);
    // CoreDNS does not tell of aliases that lead to nothing within the cluster.
    if (addresses.every(({ type }) => type === 'CNAME') && table.isOfCluster(labels)) {
      const nothing = this.#fromTable(query, table.noData(query), asker.limit);
      return asker.reply(nothing.bytes, nothing.count);
    }
    this.#replyAlias(asker, question, [alias, ...addresses]);
  }

  #replyAlias(asker: Asker, question: AskedQuestion, answers: readonly ResourceRecord[]): void {
    const { query, limit } = asker;
    const reply = { rcode: RCODE.NOERROR, isAuthoritative: true, answers };
    const answer = withOpt(this.#options.writer.write(question, reply, limit - OPT_BYTES), query.edns);
    addressTo(answer, query);
    asker.reply(answer, this.#options.counters.of(query.type, 'table', RCODE.NOERROR));
  }

  /** What is cut would be passed on as if it were all, because it is written anew: then the rest is asked for. */
  async #askForAll(asker: Asker, labels: readonly string[]): Promise<Uint8Array> {
    const found = await this.#ask(asker, labels, asker.transport);
    const isCut = (uint16(found, 2) & FLAG.TRUNCATED) !== 0;
    return isCut && asker.transport === 'udp' ? this.#ask(asker, labels, 'tcp') : found;
  }

  /** What this asker would be answered about another name, if it came this way. A copy. */
  #ask(asker: Asker, labels: readonly string[], transport: Asker['transport']): Promise<Uint8Array> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const query = new QueryReader(this.#options.seed);
    const bytes = queryFor(labels, asker.query.type);
    query.read(bytes, 0, bytes.length);
    this.later({
      query,
      isQuestion: true,
      source: asker.source,
      transport,
      limit: LONGEST_MESSAGE,
      aliases: asker.aliases + 1,
      get isWaiting() {
        return asker.isWaiting;
      },
      reply: (answer) => resolve(answer.slice()),
    });
    return promise;
  }
}
