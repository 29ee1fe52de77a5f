import type { Count } from './counters.ts';
import { placedRecords, recordCount } from './placed-records.ts';
import { FLAG, HEADER_BYTES, LONGEST_MESSAGE, setUint16, uint16 } from './protocol.ts';
import { EDNS, type Edns, OPT_BYTES, type QueryReader, writeOpt } from './query.ts';
import type { ResourceRecord } from './record.ts';
import { type AskedQuestion, type AnswerWriter, OUR_LIMIT, type Reply, withOpt } from './writer.ts';

/** Of an address record whose name is a pointer to the question's: the rest of it, before the address, is 10 bytes. */
const RECORD_BYTES = { A: 2 + 10 + 4, AAAA: 2 + 10 + 16 } as const;
/** The record that goes from the first place to the last. */
const moved = new Uint8Array(RECORD_BYTES.AAAA);

/** About what one takes besides its messages. */
const OVERHEAD_BYTES = 450;

/**
 * An answer that is ready to be sent once it is addressed to somebody. Many programs take the first address only:
 * each time another is the first, until all that fit into a message have been. Other records stay in their order.
 */
export class PreparedAnswer {
  readonly count: Count;
  /** Where the first record is, and how long each address record is; 0 where none has to move. */
  readonly #recordsAt: number;
  readonly #recordBytes: number;
  /** The same bytes, without the room for an OPT behind them and with it. */
  readonly #plain: Uint8Array;
  readonly #extended: Uint8Array;
  readonly #additional: number;
  /**
   * For those who get a part. They ask again by TCP: if both took turns with one message, of an even number of
   * addresses every other one would never come first.
   */
  #toBeCut: Uint8Array | undefined;

  constructor(
    question: AskedQuestion,
    reply: Reply,
    { writer, count }: { readonly writer: AnswerWriter; readonly count: Count },
  ) {
    const written = writer.write(question, reply, LONGEST_MESSAGE - OPT_BYTES);
    this.#extended = new Uint8Array(written.length + OPT_BYTES);
    this.#extended.set(written);
    this.#plain = this.#extended.subarray(0, written.length);
    this.#additional = uint16(written, 10);
    this.#recordsAt = HEADER_BYTES + question.bytes.length;
    this.#recordBytes = bytesOfEach(reply.answers);
    this.count = count;
  }

  /** About how many it takes, at most. */
  get bytes(): number {
    return OVERHEAD_BYTES + this.#extended.length * (this.#recordBytes === 0 ? 1 : 2);
  }

  /** To be addressed and sent at once: the same bytes serve the next asker. */
  bytesFor({ edns }: QueryReader, limit: number): Uint8Array {
    const whole = edns === EDNS.NONE ? this.#plain : this.#extended;
    if (whole.length > limit) return this.#cut(edns, limit);
    this.#turn(whole);
    setUint16(whole, 10, this.#additional + (edns === EDNS.NONE ? 0 : 1));
    if (edns !== EDNS.NONE) writeOpt(whole, this.#plain.length, edns, OUR_LIMIT);
    return whole;
  }

  #cut(edns: Edns, limit: number): Uint8Array {
    setUint16(this.#plain, 10, this.#additional);
    this.#toBeCut ??= this.#recordBytes === 0 ? this.#plain : this.#plain.slice();
    this.#turn(this.#toBeCut);
    const room = limit - (edns === EDNS.NONE ? 0 : OPT_BYTES);
    return withOpt(firstRecords(this.#toBeCut, this.#recordsAt, room), edns);
  }

  /** Moves the first address to the end of the others. */
  #turn(message: Uint8Array): void {
    const first = this.#recordsAt;
    const bytes = this.#recordBytes;
    if (bytes === 0) return;
    const last = first + (uint16(message, 6) - 1) * bytes;
    for (let at = 0; at < bytes; at++) moved[at] = message[first + at] ?? 0;
    message.copyWithin(first, first + bytes, last + bytes);
    for (let at = 0; at < bytes; at++) message[last + at] = moved[at] ?? 0;
  }
}

/** Of address records, which alone take turns. */
function bytesOfEach(answers: readonly ResourceRecord[]): number {
  const type = answers[0]?.type;
  return answers.length > 1 && (type === 'A' || type === 'AAAA') ? RECORD_BYTES[type] : 0;
}

/**
 * A copy with as many whole records as fit. Where an answer does not, it says so; what is additional is just left out
 * (RFC 2181, 9).
 */
function firstRecords(message: Uint8Array, recordsAt: number, limit: number): Uint8Array {
  const counts = [0, 0, 0];
  let at = recordsAt;
  for (const { section, end } of placedRecords(message)) {
    if (end > limit) break;
    counts[section] = (counts[section] ?? 0) + 1;
    at = end;
  }
  const part = message.slice(0, at);
  if ((counts[0] ?? 0) < recordCount(message, 0)) setUint16(part, 2, uint16(part, 2) | FLAG.TRUNCATED);
  counts.forEach((count, section) => {
    setUint16(part, 6 + 2 * section, count);
  });
  return part;
}
