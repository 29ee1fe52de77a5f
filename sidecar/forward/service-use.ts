import type { Lease, Routes } from '../services/decision.ts';
import type { Logger } from '../../process/log.ts';
import { ServiceCounters } from './counters.ts';
import type { TrafficDirection } from './origin.ts';
import type { Ending } from './outcome.ts';
import { RetryBudget } from './retry-budget.ts';
import { type Warning, RateLimitedLog } from '../../process/rate-limited-log.ts';

/** Once the last connection to a Service ended this long ago, the loads of its endpoints may be forgotten. */
const KEPT_AFTER_LAST_USE_MS = 5 * 60_000;

/** What one connection carried; see Outcome. */
interface Carried {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** What the forwarder keeps for one Service, however many connections go there. */
export class ServiceUse {
  /** `namespace/name`, or one word for connections that belong to no Service; inbound the workload's port. */
  readonly name: string;
  readonly direction: TrafficDirection;
  readonly counters = new ServiceCounters();
  readonly retryBudget: RetryBudget;
  readonly #warnings = new RateLimitedLog();
  #open = 0;
  #lease: Lease | undefined;
  #lastUsedAtMs: number;

  constructor(name: string, direction: TrafficDirection, nowMs: number) {
    this.name = name;
    this.direction = direction;
    this.retryBudget = new RetryBudget(nowMs);
    this.#lastUsedAtMs = nowMs;
  }

  opened(): void {
    this.#open++;
    this.counters.opened++;
    this.retryBudget.deposit();
  }

  closed(carried: Carried, ending: Ending, nowMs: number): void {
    this.#open--;
    this.counters.closed[ending]++;
    this.counters.sentBytes += carried.sentBytes;
    this.counters.receivedBytes += carried.receivedBytes;
    this.#lastUsedAtMs = nowMs;
  }

  /** Of this Service, whose name is added. */
  warn(log: Logger, { message, reason, fields }: Warning): void {
    this.#warnings.warn(log, { message, reason, fields: { service: this.name, ...fields } });
  }

  /** Keeps the endpoints subscribed for as long as there are connections. */
  lease(routes: Routes): Lease {
    return (this.#lease ??= routes.use(this.name));
  }

  isUnused(): boolean {
    return this.#open === 0;
  }

  /** Whether nobody has needed it for long. */
  isIdle(nowMs: number): boolean {
    return this.#open === 0 && nowMs - this.#lastUsedAtMs >= KEPT_AFTER_LAST_USE_MS;
  }

  /** Lets go of the endpoints; for how long they stay subscribed then is not decided here. */
  release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }
}
