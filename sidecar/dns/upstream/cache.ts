import type { Count, DnsCounters } from '../counters.ts';
import { FLAG, setUint32, uint16 } from '../protocol.ts';
import type { QueryReader } from '../query.ts';
import { addressTo } from '../writer.ts';
import { type Lifetime, lifetimeOf } from './lifetime.ts';

/** Past its time an answer is kept for as long, for when no server answers (RFC 8767, 5). */
const STALE_MS = 86_400_000;
/** What a stale answer says of how long it lives (RFC 8767, 4). */
const STALE_TTL = 30;
/** About what an entry takes besides its bytes. */
const OVERHEAD_BYTES = 900;
/** One answer takes no more than this part of the room. */
const LARGEST_PART = 8;
/** For so long after servers did not answer a question, its next asker is not kept waiting (RFC 8767, 5). */
const FAILED_MS = 30_000;

interface Entry {
  readonly hash: number;
  /** What was asked, from the question to the end. */
  readonly key: Uint8Array;
  readonly flags: number;
  readonly answer: Uint8Array;
  readonly lifetime: Lifetime;
  readonly storedMs: number;
  readonly expiresMs: number;
  readonly count: Count;
  readonly staleCount: Count;
  /** What the answer's times to live say that has passed. */
  elapsed: number;
  isUsed: boolean;
  failedMs: number;
}

/** What was found: to be sent at once, because the same bytes serve the next asker. */
export interface Cached {
  readonly bytes: Uint8Array;
  readonly count: Count;
}

/** Answers of servers, for as long as they say, within a number of bytes. */
export class AnswerCache {
  readonly #entries = new Map<number, Entry>();
  readonly #roomBytes: number;
  readonly #counters: DnsCounters;
  readonly #now: () => number;
  #bytes = 0;

  /** `now`: milliseconds that never go back. */
  constructor(roomBytes: number, counters: DnsCounters, now: () => number) {
    this.#roomBytes = roomBytes;
    this.#counters = counters;
    this.#now = now;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** An answer to this question that is within its time, addressed to who asks. */
  find(query: QueryReader): Cached | undefined {
    const entry = this.#entryOf(query);
    const now = this.#now();
    if (entry === undefined || now >= entry.expiresMs) return undefined;
    const elapsed = Math.floor((now - entry.storedMs) / 1000);
    if (elapsed !== entry.elapsed) countDown(entry, elapsed);
    entry.isUsed = true;
    addressTo(entry.answer, query);
    return { bytes: entry.answer, count: entry.count };
  }

  /** An answer whose time is over, for when nobody has a better one; or one within its time, if it came meanwhile. */
  findStale(query: QueryReader): Cached | undefined {
    const entry = this.#entryOf(query);
    if (entry === undefined) return undefined;
    if (this.#now() < entry.expiresMs) return this.find(query);
    entry.elapsed = -1;
    setTtls(entry, () => STALE_TTL);
    entry.isUsed = true;
    addressTo(entry.answer, query);
    return { bytes: entry.answer, count: entry.staleCount };
  }

  /** Notes that servers do not answer this. */
  failed(query: QueryReader): void {
    const entry = this.#entryOf(query);
    if (entry !== undefined) entry.failedMs = this.#now();
  }

  /** Whether there is an answer to this that servers, asked again, did not give a moment ago: later than `sinceMs`. */
  hasFailed(query: QueryReader, sinceMs: number): boolean {
    const entry = this.#entryOf(query);
    return entry !== undefined && entry.failedMs > Math.max(sinceMs, this.#now() - FAILED_MS);
  }

  /** Keeps a copy of the answer to this question where it may be kept. */
  store(query: QueryReader, received: Uint8Array): void {
    const lifetime = lifetimeOf(received);
    if (lifetime === undefined || received.length > this.#roomBytes / LARGEST_PART) return;
    const hash = query.hashWithRest();
    this.#remove(this.#entries.get(hash));
    const now = this.#now();
    const rcode = uint16(received, 2) & FLAG.RCODE;
    const answer = new Uint8Array(received);
    // What comes from here is no longer said by who has authority.
    answer[2] = (answer[2] ?? 0) & ~(FLAG.AUTHORITATIVE >> 8);
    const entry: Entry = {
      hash,
      key: query.key(query.end),
      flags: query.flags,
      answer,
      lifetime,
      storedMs: now,
      expiresMs: now + lifetime.seconds * 1000,
      count: this.#counters.of(query.type, 'cache', rcode),
      staleCount: this.#counters.of(query.type, 'stale', rcode),
      elapsed: 0,
      isUsed: false,
      failedMs: -Infinity,
    };
    this.#entries.set(hash, entry);
    this.#bytes += sizeOf(entry);
    this.#makeRoom();
  }

  #entryOf(query: QueryReader): Entry | undefined {
    const entry = this.#entries.get(query.hashWithRest());
    if (entry?.flags !== query.flags || !query.hasKey(entry.key, query.end)) return undefined;
    if (this.#now() < entry.expiresMs + STALE_MS) return entry;
    this.#remove(entry);
    return undefined;
  }

  #remove(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#entries.delete(entry.hash);
    this.#bytes -= sizeOf(entry);
  }

  /** The oldest go first, but for those that were of use since they were last looked at. */
  #makeRoom(): void {
    for (const [hash, entry] of this.#entries) {
      if (this.#bytes <= this.#roomBytes) return;
      if (entry.isUsed) {
        entry.isUsed = false;
        this.#entries.delete(hash);
        this.#entries.set(hash, entry);
      } else {
        this.#remove(entry);
      }
    }
  }
}

function sizeOf({ key, answer, lifetime }: Entry): number {
  return OVERHEAD_BYTES + key.length + answer.length + lifetime.ttls.byteLength;
}

function countDown(entry: Entry, elapsed: number): void {
  entry.elapsed = elapsed;
  setTtls(entry, (seconds) => Math.max(0, seconds - elapsed));
}

function setTtls({ answer, lifetime: { ttls } }: Entry, ttlOf: (seconds: number) => number): void {
  for (let index = 0; index < ttls.length; index += 2)
    setUint32(answer, ttls[index] ?? 0, ttlOf(ttls[index + 1] ?? 0));
}
