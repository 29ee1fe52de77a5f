import type { Lease } from './decision.ts';
import type { ServiceKey } from './service.ts';

/** Runs something later; call what it returns to call that off. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

/** Where endpoints come from. */
export interface EndpointsSource {
  subscribe(service: ServiceKey): void;
  unsubscribe(service: ServiceKey): void;
}

export interface InterestOptions {
  readonly source: EndpointsSource;
  readonly schedule: Schedule;
  /** How long a Service's endpoints stay after their last use. */
  readonly idleMs: number;
  /** How long a connection may wait for the first word of a Service. */
  readonly waitMs: number;
  readonly isTold: (service: ServiceKey) => boolean;
  /** Called when waiting for a Service is given up; from then on it counts as told. */
  readonly giveUp: (service: ServiceKey) => void;
}

interface Entry {
  leases: number;
  pinned: boolean;
  cancelIdle: (() => void) | undefined;
  waiting: { readonly over: Promise<void>; readonly end: () => void } | undefined;
}

/**
 * Which Services' endpoints somebody uses: subscribed from the first lease until they have been idle for a
 * while, so that a sidecar holds what its workload talks to and not the mesh.
 */
export class Interest {
  readonly #options: InterestOptions;
  readonly #entries = new Map<ServiceKey, Entry>();
  #sourceAnswers = true;

  constructor(options: InterestOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  use(service: ServiceKey): Lease {
    const entry = this.#entry(service);
    entry.leases += 1;
    entry.cancelIdle?.();
    entry.cancelIdle = undefined;
    let released = false;
    return {
      known: this.#known(service, entry),
      release: () => {
        if (!released) {
          released = true;
          entry.leases -= 1;
          this.#idle(service, entry);
        }
      },
    };
  }

  /** Subscribed for good. */
  pin(service: ServiceKey): void {
    const entry = this.#entry(service);
    entry.pinned = true;
    entry.cancelIdle?.();
    entry.cancelIdle = undefined;
  }

  /** Endpoints that are here without having been asked for, from an earlier run: kept as if just used. */
  adopt(service: ServiceKey): void {
    this.#idle(service, this.#entry(service));
  }

  /** Ends the waits of Services that have been told. */
  settle(): void {
    for (const [service, entry] of this.#entries) {
      if (entry.waiting !== undefined && this.#options.isTold(service)) {
        entry.waiting.end();
      }
    }
  }

  /** While the source is known not to answer, nobody waits for it. */
  sourceAnswers(answers: boolean): void {
    this.#sourceAnswers = answers;
    if (!answers) {
      for (const [service, entry] of this.#entries) {
        if (entry.waiting !== undefined) {
          this.#giveUp(service, entry);
        }
      }
    }
  }

  /** Calls off all timers and ends all waits. */
  close(): void {
    for (const entry of this.#entries.values()) {
      entry.cancelIdle?.();
      entry.waiting?.end();
    }
    this.#entries.clear();
  }

  #entry(service: ServiceKey): Entry {
    let entry = this.#entries.get(service);
    if (entry === undefined) {
      entry = { leases: 0, pinned: false, cancelIdle: undefined, waiting: undefined };
      this.#entries.set(service, entry);
      this.#options.source.subscribe(service);
    }
    return entry;
  }

  #known(service: ServiceKey, entry: Entry): Promise<void> {
    if (this.#options.isTold(service)) {
      return Promise.resolve();
    }
    if (!this.#sourceAnswers) {
      this.#giveUp(service, entry);
      return Promise.resolve();
    }
    entry.waiting ??= this.#startWaiting(service, entry);
    return entry.waiting.over;
  }

  #startWaiting(service: ServiceKey, entry: Entry): NonNullable<Entry['waiting']> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.schedule(this.#options.waitMs, () => {
      this.#giveUp(service, entry);
    });
    const end = (): void => {
      cancel();
      entry.waiting = undefined;
      resolve();
    };
    return { over: promise, end };
  }

  #giveUp(service: ServiceKey, entry: Entry): void {
    this.#options.giveUp(service);
    entry.waiting?.end();
  }

  #idle(service: ServiceKey, entry: Entry): void {
    // An entry that was closed or let go is nobody's any more.
    if (entry.leases > 0 || entry.pinned || this.#entries.get(service) !== entry) {
      return;
    }
    entry.cancelIdle?.();
    entry.cancelIdle = this.#options.schedule(this.#options.idleMs, () => {
      entry.waiting?.end();
      this.#entries.delete(service);
      this.#options.source.unsubscribe(service);
    });
  }
}
