import type { Lease, Routes } from '../services/decision.ts';
import { ServiceCounters } from './counters.ts';
import { RetryBudget } from './retry-budget.ts';
import { Warnings } from './warnings.ts';

/** A Service whose last connection ended this long ago may be forgotten by the control plane stream. */
const KEPT_AFTER_LAST_USE_MS = 5 * 60_000;

/** What the forwarder keeps for one Service, however many connections go there. */
export class ServiceUse {
  /** `namespace/name`, or one word for connections that belong to no Service. */
  readonly name: string;
  readonly counters = new ServiceCounters();
  readonly retryBudget: RetryBudget;
  readonly warnings = new Warnings();
  #open = 0;
  #lease: Lease | undefined;
  #lastUsedAtMs: number;

  constructor(name: string, nowMs: number) {
    this.name = name;
    this.retryBudget = new RetryBudget(nowMs);
    this.#lastUsedAtMs = nowMs;
  }

  opened(): void {
    this.#open++;
    this.counters.opened++;
    this.retryBudget.deposit();
  }

  closed(nowMs: number): void {
    this.#open--;
    this.#lastUsedAtMs = nowMs;
  }

  /** Keeps the endpoints subscribed until some time after the last connection. */
  lease(routes: Routes): Lease {
    return (this.#lease ??= routes.use(this.name));
  }

  /** Lets go of the endpoints if nobody has needed them for long; true if so. */
  releaseIfIdle(nowMs: number): boolean {
    if (this.#open > 0 || nowMs - this.#lastUsedAtMs < KEPT_AFTER_LAST_USE_MS) return false;
    return this.release();
  }

  /** True if there was anything to let go of. */
  release(): boolean {
    const lease = this.#lease;
    this.#lease = undefined;
    lease?.release();
    return lease !== undefined;
  }
}
