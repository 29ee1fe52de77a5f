import type { DnsCounters } from '../counters.ts';
import type { AnswerCache } from './cache.ts';
import type { Servers } from './servers.ts';
import type { StreamTimes } from './times.ts';

/** What forwarding by UDP and by TCP share. */
export interface Surroundings {
  readonly servers: Servers;
  readonly cache: AnswerCache;
  readonly counters: DnsCounters;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly streamTimes?: Partial<StreamTimes> | undefined;
}
