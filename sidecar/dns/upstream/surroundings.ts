import type { DnsCounters } from '../counters.ts';
import type { AnswerCache } from './cache.ts';
import type { Servers } from './servers.ts';

/** How long servers may take by TCP. */
export interface StreamTimes {
  /** To accept and to answer, before the next is asked as well. */
  readonly attemptMs: number;
  /** All of them together, until something of an answer has come. */
  readonly firstMessageMs: number;
  /** Between two messages of a zone. */
  readonly silentMs: number;
}

/** What forwarding by UDP and by TCP share. */
export interface Surroundings {
  readonly servers: Servers;
  readonly cache: AnswerCache;
  readonly counters: DnsCounters;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly streamTimes?: Partial<StreamTimes> | undefined;
}
