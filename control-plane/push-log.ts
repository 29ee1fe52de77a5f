import type { Logger } from '../process/log.ts';
import {
  ENDPOINTS_TYPE_URL,
  NODE_TYPE_URL,
  SERVICE_TYPE_URL,
  serviceOfEndpoints,
} from '../wire/resource-kinds.ts';
import type { Clock } from './mesh/coalescer.ts';
import type { MeshState } from './mesh/state.ts';
import { differenceOfSets } from './xds/resource-set.ts';
import { resourcesOf, type Snapshot, type SnapshotCell } from './xds/snapshot.ts';

export interface PushLogOptions {
  readonly snapshots: Pick<SnapshotCell, 'subscribe'>;
  readonly mesh: { readonly state: MeshState };
  /** How many streams are open. */
  readonly counters: { readonly streams: number };
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info'>;
}

/** Changes that follow a line closer than this share the next one. */
const QUIET_MS = 5_000;
const NAMED = 5;

/** Logs what is pushed to sidecars: one line for an edit, and a few a minute however many there are. */
export class PushLog {
  readonly #options: PushLogOptions;
  readonly #unsubscribe: () => void;
  readonly #services = new Set<string>();
  readonly #nodes = new Set<string>();
  #cancelTimer: (() => void) | undefined;

  constructor(options: PushLogOptions) {
    this.#options = options;
    this.#unsubscribe = options.snapshots.subscribe((previous, next) => this.#changed(previous, next));
  }

  /** Logs what has not been logged yet, and nothing after it. */
  close(): void {
    this.#unsubscribe();
    this.#cancelTimer?.();
    this.#write();
    this.#cancelTimer?.();
  }

  #changed(previous: Snapshot, next: Snapshot): void {
    const visit = (typeUrl: string, changed: (name: string) => void): void =>
      differenceOfSets(resourcesOf(previous, typeUrl), resourcesOf(next, typeUrl), changed);
    visit(SERVICE_TYPE_URL, (name) => this.#services.add(name));
    visit(ENDPOINTS_TYPE_URL, (name) => this.#services.add(serviceOfEndpoints(name)));
    visit(NODE_TYPE_URL, (name) => this.#nodes.add(name));
    if (this.#cancelTimer === undefined) this.#write();
  }

  #write(): void {
    this.#cancelTimer = undefined;
    if (this.#services.size + this.#nodes.size === 0) return;
    const { counters, clock, logger } = this.#options;
    logger.info('Pushed', {
      ...named('services', this.#services),
      ...(this.#services.size === 0 ? {} : { readyEndpoints: this.#readyEndpoints() }),
      ...named('nodes', this.#nodes),
      sidecars: counters.streams,
    });
    this.#services.clear();
    this.#nodes.clear();
    this.#cancelTimer = clock.after(QUIET_MS, () => this.#write());
  }

  /** Of the Services that changed, as they are now. */
  #readyEndpoints(): number {
    const { slices } = this.#options.mesh.state;
    let count = 0;
    for (const service of this.#services) {
      for (const { endpoints } of slices.get(service)?.values() ?? []) {
        for (const { health } of endpoints) if (health === 'ready') count += 1;
      }
    }
    return count;
  }
}

/** The first few names, and how many there are where that is more. */
function named(kind: string, names: ReadonlySet<string>): Record<string, unknown> {
  if (names.size === 0) return {};
  const first = { [kind]: [...names.values().take(NAMED)] };
  return names.size <= NAMED ? first : { ...first, [`${kind}Changed`]: names.size };
}
