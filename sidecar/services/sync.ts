import type { ServiceKey } from './service.ts';

/**
 * Whether a control plane keeps the table up to date. `stale`: none answers, and the table is used as it was.
 * `expired`: for so long that Kubernetes may have given the addresses of pods to other pods.
 */
export type Freshness = 'current' | 'stale' | 'expired';

/** How much of what exists the present stream has sent. */
export interface Extent {
  /** Whether every Service was received. */
  readonly services: boolean;
  /** Services whose endpoints were all received. */
  readonly endpoints: Pick<ReadonlySet<ServiceKey>, 'has'>;
  /** Services of which something was received that could not be read: the table lacks it, or has an earlier state. */
  readonly unreadable: Pick<ReadonlySet<ServiceKey>, 'has'>;
}

/** How the table stands to its source, the control plane. */
export interface Sync {
  readonly freshness: Freshness;
  readonly extent: Extent;
  /** Services whose endpoints led to nothing since the control plane fell silent. */
  readonly misleading: ReadonlySet<ServiceKey>;
}

export type SyncChange =
  | { readonly kind: 'freshness'; readonly freshness: Freshness }
  | { readonly kind: 'extent'; readonly extent: Extent }
  | { readonly kind: 'misleading'; readonly service: ServiceKey };

const NONE: ReadonlySet<ServiceKey> = new Set();
export const NO_EXTENT: Extent = { services: false, endpoints: NONE, unreadable: NONE };
/** Of an empty table: it contradicts no control plane. */
export const INITIAL_SYNC: Sync = { freshness: 'current', extent: NO_EXTENT, misleading: NONE };

/** The same object where the change changes nothing. */
export function syncAfter(sync: Sync, change: SyncChange): Sync {
  switch (change.kind) {
    case 'freshness': {
      const { freshness } = change;
      if (freshness === sync.freshness) return sync;
      return { ...sync, freshness, misleading: freshness === 'current' ? NONE : sync.misleading };
    }
    case 'extent':
      return change.extent === sync.extent ? sync : { ...sync, extent: change.extent };
    default:
      return sync.misleading.has(change.service)
        ? sync
        : { ...sync, misleading: new Set([...sync.misleading, change.service]) };
  }
}
