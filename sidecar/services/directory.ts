import type { Change } from './change.ts';
import { decide } from './decide.ts';
import type { Decision, Destination, Lease, Routes } from './decision.ts';
import type { Locality } from './groups.ts';
import type { EndpointsSource, Schedule } from './interest.ts';
import { Interest } from './interest.ts';
import type { ServiceKey } from './service.ts';
import { ServicesWait } from './services-wait.ts';
import type { Table } from './table.ts';
import { emptyTable, isTold, withChanges } from './table.ts';

export interface DirectoryOptions {
  readonly locality: Locality;
  readonly source: EndpointsSource;
  readonly schedule: Schedule;
  /** How long a Service's endpoints stay after their last use. */
  readonly endpointsIdleMs: number;
  /** How long a connection waits for the first word of a Service. */
  readonly waitMs: number;
  /** Services whose endpoints are held from the start and for good. */
  readonly pinned: Iterable<ServiceKey>;
}

/**
 * A workload that goes through a whole large mesh is served the rest as if no control plane answered: a stream
 * that asks for more than a control plane is ready to give would be ended, and ask for as much again.
 */
const MAX_SERVICES_IN_USE = 4096;

/** For how long a table without updates is used: Kubernetes gives addresses of pods to other pods, in time. */
const STALE_MS = 300_000;

/** Holds the current table: changes come in at one end, decisions go out at the other. */
export class Directory implements Routes {
  /** How long somebody waits for the first word of a Service, or of which Services there are. */
  readonly waitMs: number;
  readonly #interest: Interest;
  readonly #servicesWait: ServicesWait;
  readonly #schedule: Schedule;
  readonly #pinned: ReadonlySet<ServiceKey>;
  readonly #listeners = new Set<(table: Table) => void>();
  #table: Table;
  #cancelExpiry: (() => void) | undefined;

  constructor({ locality, source, schedule, endpointsIdleMs, waitMs, pinned }: DirectoryOptions) {
    this.waitMs = waitMs;
    this.#table = emptyTable(locality);
    this.#servicesWait = new ServicesWait(schedule, waitMs);
    this.#pinned = new Set(pinned);
    this.#schedule = schedule;
    this.#interest = new Interest({
      source: {
        subscribe: (service) => {
          source.subscribe(service);
        },
        unsubscribe: (service) => {
          source.unsubscribe(service);
          this.apply([{ kind: 'endpoints-forgotten', service }]);
        },
      },
      schedule,
      idleMs: endpointsIdleMs,
      waitMs,
      maxServices: MAX_SERVICES_IN_USE,
      isTold: (service) => isTold(this.#table, service),
      giveUp: (service) => {
        this.apply([{ kind: 'endpoints-overdue', service }]);
      },
    });
  }

  get table(): Table {
    return this.#table;
  }

  /** Whether connections can be decided: Services are known, and the endpoints of the pinned ones. */
  get ready(): boolean {
    return this.#table.servicesKnown && this.#pinned.values().every((key) => this.#table.endpoints.has(key));
  }

  /** Begins with what an earlier run held, if anything, and pins what is to be pinned. */
  start(held: readonly Change[]): void {
    // What was so before may not be any more; a first use still waits for what the control plane says of it.
    if (held.length > 0) this.#setFresh(false);
    this.apply(held);
    for (const service of this.#table.endpoints.keys()) {
      this.#interest.adopt(service);
    }
    for (const service of this.#pinned) {
      this.#interest.pin(service);
    }
  }

  /** Takes all of these changes in one assignment. */
  apply(changes: readonly Change[]): void {
    const next = withChanges(this.#table, changes);
    if (next === this.#table) {
      return;
    }
    this.#table = next;
    this.#interest.settle();
    if (next.servicesKnown) this.#servicesWait.end();
    for (const listener of this.#listeners) {
      listener(next);
    }
  }

  decide(destination: Destination): Decision {
    return decide(this.#table, destination);
  }

  doubt(destination: Destination): boolean {
    if (this.#table.sync.freshness === 'current' || destination.kind !== 'address') return false;
    const service = this.#table.serviceByClusterIp.get(destination.address);
    if (service !== undefined) this.apply([{ kind: 'misleading', service }]);
    return service !== undefined;
  }

  use(service: ServiceKey): Lease {
    return this.#interest.use(service);
  }

  /**
   * Resolves, never rejects, once it is known which Services there are, or waiting for that is over. Until then a
   * name that is not in the table is not to be used: anybody may have invented it.
   */
  async servicesTold(): Promise<void> {
    if (!this.#table.servicesKnown) await this.#servicesWait.join();
  }

  /** Tells whether a control plane answers: whether asking is of any use, and the table is what is so now. */
  sourceAnswers(answers: boolean): void {
    this.#setFresh(answers);
    this.#interest.sourceAnswers(answers);
    this.#servicesWait.sourceAnswers(answers);
  }

  /** Calls the listener with every new table, until what it returns is called. */
  onTable(listener: (table: Table) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Ends all waits and timers. The table stays. */
  close(): void {
    this.#cancelExpiry?.();
    this.#interest.close();
    this.#servicesWait.end();
  }

  /** A table without updates is used for a while, and then only where there is no other way. */
  #setFresh(isFresh: boolean): void {
    if (isFresh === (this.#table.sync.freshness === 'current')) return;
    this.#cancelExpiry?.();
    this.apply([{ kind: 'freshness', freshness: isFresh ? 'current' : 'stale' }]);
    if (isFresh) return;
    this.#cancelExpiry = this.#schedule(STALE_MS, () => {
      this.apply([{ kind: 'freshness', freshness: 'expired' }]);
    });
  }
}
