import type { Logger } from '../process/log.ts';
import type { ApiServer, KubernetesObject } from './api-server.ts';

/** What becomes known of the objects of one kind. Nothing is ever told because the API server is away. */
export interface ListWatchReceiver {
  /** All objects there are, at the start and whenever a watch could not be resumed: what is not among them is gone. */
  replaced(objects: readonly KubernetesObject[]): void;
  /** Added or modified. */
  changed(object: KubernetesObject): void;
  deleted(object: KubernetesObject): void;
}

export interface ListWatchOptions {
  readonly api: Pick<ApiServer, 'request' | 'lines'>;
  /** The collection, e.g. `/apis/discovery.k8s.io/v1/endpointslices`. */
  readonly path: string;
  readonly query?: { readonly labelSelector?: string; readonly fieldSelector?: string };
  /** Asks for the objects' metadata alone: everything else is left out by the API server. */
  readonly metadataOnly?: boolean;
  /** What of an object is kept, at once, so that no more than a page of whole objects is ever held. */
  readonly strip?: (object: KubernetesObject) => KubernetesObject;
  readonly receiver: ListWatchReceiver;
  readonly logger: Logger;
  readonly world?: World;
  readonly limits?: Partial<ListWatchLimits>;
}

/** The clock and chance, as arguments. */
export interface World {
  /** Milliseconds from some fixed moment, never going back. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** Runs once after so many milliseconds, unless the returned function is called before. */
  schedule(milliseconds: number, run: () => void): () => void;
}

export interface ListWatchLimits {
  /** Objects in one answer to a list. Default 500. */
  readonly pageSize: number;
  /** For one page, and for a watch to be accepted. Default 30 s. */
  readonly requestTimeoutMs: number;
  /** A watch is left when nothing is heard for so long; the API server sends a bookmark about every minute. Default 90 s. */
  readonly stallMs: number;
  /** How long a watch may last at least; at most twice that, by chance. Default 5 min. */
  readonly watchMs: number;
}

export interface ListWatch {
  /** Whether all objects have been told once. */
  readonly isSynced: boolean;
  /** What stands in the way just now, as a sentence without a subject: `may not list services: …`. */
  readonly problem: string | undefined;
  readonly counters: Readonly<ListWatchCounters>;
  /** Milliseconds since the API server was last heard of this kind. */
  stalenessMs(): number;
  /** Nothing is told any more, and nothing is left open. */
  close(): void;
}

export interface ListWatchCounters {
  /** Lists that were read to their end after the first one. */
  relists: number;
  /** Lists and watches that failed, stalled or were refused. */
  errors: number;
}
