import { createTypeCounters } from './counters.ts';
import type { Counters, TypeCounters } from './counters.ts';
import type { Protocol } from './response.ts';
import { resourcesOf } from './snapshot.ts';
import type { Snapshot, SnapshotCell } from './snapshot.ts';
import { Target } from './target.ts';
import { TypeServer } from './type-server.ts';

const KEPT_TYPES = 64;
/** Counts for types that are neither served nor in the order, which clients may make up. */
const OTHER_TYPES = 'other';

export interface TypeServersOptions {
  readonly snapshots: SnapshotCell;
  readonly order: readonly string[];
  readonly fullStateTypes: readonly string[];
  readonly responseBytes: number;
  readonly counters: Counters;
}

/** One server for each resource type and protocol that a stream asked for. */
export class TypeServers {
  readonly #options: TypeServersOptions;
  readonly #servers = new Map<string, TypeServer>();
  #lastId = 0;

  constructor(options: TypeServersOptions) {
    this.#options = options;
  }

  of(typeUrl: string, protocol: Protocol): TypeServer {
    const key = `${protocol} ${typeUrl}`;
    let server = this.#servers.get(key);
    if (server === undefined) {
      const { snapshots, responseBytes, fullStateTypes } = this.#options;
      const target = new Target(resourcesOf(snapshots.current, typeUrl), responseBytes);
      const fullState = fullStateTypes.includes(typeUrl);
      const counters = this.#countersOf(typeUrl);
      server = new TypeServer({ typeUrl, protocol, fullState, counters }, target, () => (this.#lastId += 1));
      this.#servers.set(key, server);
    }
    return server;
  }

  replace(snapshot: Snapshot): void {
    for (const server of this.#servers.values()) server.replace(resourcesOf(snapshot, server.typeUrl));
  }

  /** Clients may name any type: beyond a few, those that are not `used` by a stream are forgotten. */
  forgetUnused(used: () => ReadonlySet<TypeServer>): void {
    if (this.#servers.size <= KEPT_TYPES) return;
    const kept = used();
    for (const [key, server] of this.#servers) if (!kept.has(server)) this.#servers.delete(key);
  }

  #countersOf(typeUrl: string): TypeCounters {
    const { snapshots, order, counters } = this.#options;
    const isServed = snapshots.current.types.has(typeUrl) || order.includes(typeUrl);
    const key = isServed ? typeUrl : OTHER_TYPES;
    const known = counters.types.get(key);
    if (known !== undefined) return known;
    const created = createTypeCounters();
    counters.types.set(key, created);
    return created;
  }
}
