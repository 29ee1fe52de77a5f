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
  /** How many Services may be subscribed to at once. */
  readonly maxServices: number;
  readonly isTold: (service: ServiceKey) => boolean;
  /** Called when waiting for a Service is given up; from then on it counts as told. */
  readonly giveUp: (service: ServiceKey) => void;
}

interface Entry {
  leases: number;
  pinned: boolean;
  /** False where too many others are in use. */
  readonly subscribed: boolean;
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
  /** Those that nobody uses at the moment, the longest unused first. */
  readonly #idle = new Map<ServiceKey, Entry>();
  #subscribed = 0;
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
    this.#wake(service, entry);
    let released = false;
    const known = (): Promise<void> => this.#known(service, entry);
    // The wait begins with the use, whenever its end is asked for.
    void known();
    return {
      get known() {
        return known();
      },
      release: () => {
        if (!released) {
          released = true;
          entry.leases -= 1;
          this.#rest(service, entry);
        }
      },
    };
  }

  /** Subscribed for good. */
  pin(service: ServiceKey): void {
    const entry = this.#entry(service);
    entry.pinned = true;
    this.#wake(service, entry);
  }

  /** Endpoints that are here without having been asked for, from an earlier run: kept as if just used. */
  adopt(service: ServiceKey): void {
    this.#rest(service, this.#entry(service));
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
    this.#idle.clear();
  }

  #entry(service: ServiceKey): Entry {
    const known = this.#entries.get(service);
    if (known !== undefined) {
      return known;
    }
    const [longestIdle] = this.#idle;
    if (this.#subscribed >= this.#options.maxServices && longestIdle !== undefined) {
      this.#letGo(...longestIdle);
    }
    const subscribed = this.#subscribed < this.#options.maxServices;
    const entry: Entry = { leases: 0, pinned: false, subscribed, cancelIdle: undefined, waiting: undefined };
    this.#entries.set(service, entry);
    if (subscribed) {
      this.#subscribed += 1;
      this.#options.source.subscribe(service);
    }
    return entry;
  }

  #known(service: ServiceKey, entry: Entry): Promise<void> {
    // An entry that was closed or let go is nobody's any more: what it asks for does not come.
    if (this.#options.isTold(service) || this.#entries.get(service) !== entry) {
      return Promise.resolve();
    }
    if (!this.#sourceAnswers || !entry.subscribed) {
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

  #wake(service: ServiceKey, entry: Entry): void {
    this.#idle.delete(service);
    entry.cancelIdle?.();
    entry.cancelIdle = undefined;
  }

  #rest(service: ServiceKey, entry: Entry): void {
    // An entry that was closed or let go is nobody's any more.
    if (entry.leases > 0 || entry.pinned || this.#entries.get(service) !== entry) {
      return;
    }
    this.#wake(service, entry);
    this.#idle.set(service, entry);
    entry.cancelIdle = this.#options.schedule(this.#options.idleMs, () => {
      this.#letGo(service, entry);
    });
  }

  #letGo(service: ServiceKey, entry: Entry): void {
    this.#wake(service, entry);
    entry.waiting?.end();
    this.#entries.delete(service);
    this.#subscribed -= entry.subscribed ? 1 : 0;
    this.#options.source.unsubscribe(service);
  }
}
