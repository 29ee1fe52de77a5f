import type { ApiServer } from '../../api-server/api-server.ts';
import { type ListWatch, listWatch, type ListWatchLimits } from '../../api-server/list-watch.ts';
import type { World } from '../../api-server/world.ts';
import type { Logger } from '../../process/log.ts';
import type { Kind } from '../mesh/object.ts';
import type { Listener } from '../source.ts';
import { type FollowedKind, KINDS } from './kinds.ts';
import { KnownObjects } from './known-objects.ts';

export interface KubernetesSourceOptions {
  readonly api: ApiServer;
  readonly listener: Listener;
  readonly logger: Logger;
  readonly limits?: Partial<ListWatchLimits>;
  readonly world?: World;
}

/** How following one kind goes. */
export interface FollowedState {
  readonly kind: Kind;
  readonly objects: number;
  readonly stalenessMs: number;
  readonly relists: number;
  readonly errors: number;
  readonly isSynced: boolean;
  readonly problem: string | undefined;
}

interface Followed {
  readonly kind: Kind;
  readonly known: KnownObjects;
  readonly watched: ListWatch;
}

/**
 * The cluster's API server as a source of the mesh. What it told stays known however long it is away: only an
 * object's deletion, or a list in which it is missing, takes one away.
 */
export class KubernetesSource {
  readonly #followed: readonly Followed[];
  #isSynced = false;

  constructor(options: KubernetesSourceOptions) {
    this.#followed = KINDS.map((kind) => this.#follow(kind, options));
  }

  get states(): readonly FollowedState[] {
    return this.#followed.map(({ kind, known, watched }) => ({
      kind,
      objects: known.size,
      stalenessMs: watched.stalenessMs(),
      relists: watched.counters.relists,
      errors: watched.counters.errors,
      isSynced: watched.isSynced,
      problem: watched.problem,
    }));
  }

  /** Nothing is told any more. */
  close(): void {
    for (const { watched } of this.#followed) watched.close();
  }

  #follow(followed: FollowedKind, { listener, ...options }: KubernetesSourceOptions): Followed {
    const { kind, path, labelSelector, metadataOnly = false, strip } = followed;
    const known = new KnownObjects(kind);
    const watched = listWatch({
      ...options,
      path,
      query: labelSelector === undefined ? {} : { labelSelector },
      metadataOnly,
      strip,
      receiver: {
        replaced: (objects) => listener.onEvents(known.replaced(objects)),
        changed: (object) => listener.onEvents(known.changed(object)),
        deleted: (object) => listener.onEvents(known.deleted(object)),
        synced: () => this.#syncedOne(listener),
      },
    });
    return { kind, known, watched };
  }

  /** Half of the kinds look like a mesh that lost the other half. */
  #syncedOne(listener: Listener): void {
    if (this.#isSynced || !this.#followed.every(({ watched }) => watched.isSynced)) return;
    this.#isSynced = true;
    listener.onSynced('all');
  }
}
