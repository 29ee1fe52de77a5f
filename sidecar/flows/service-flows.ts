import { RateLimitedLog } from '../../process/rate-limited-log.ts';
import type { Lease, Routes } from '../services/decision.ts';
import { FlowCounters } from './counters.ts';

/** What is kept for one Service, however many flows go there; or for those that belong to none. */
export class ServiceFlows {
  /** `namespace/name`, or a word where it is no Service. */
  readonly name: string;
  readonly counters = new FlowCounters();
  readonly warnings = new RateLimitedLog();
  #open = 0;
  #lease: Lease | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get isService(): boolean {
    return this.name.includes('/');
  }

  get open(): number {
    return this.#open;
  }

  opened(): void {
    this.#open++;
    this.counters.opened++;
  }

  closed(): void {
    this.#open--;
  }

  /** Keeps the endpoints subscribed until released. */
  lease(routes: Routes): Lease {
    return (this.#lease ??= routes.use(this.name));
  }

  release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }
}
