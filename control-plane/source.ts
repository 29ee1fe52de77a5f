import type { Registry } from 'prom-client';
import type { MeshEvent } from './mesh/state.ts';

/** Where the objects of the mesh come from. */
export interface Source {
  /** For people: a folder, the address of an API server. */
  readonly name: string;
  /** What keeps it from telling all there is, as sentences, while it has not. */
  obstacles(): readonly string[];
  /** What is to be known of how good its word is once it has, as a sentence; undefined: all is well. */
  remark(): string | undefined;
  /** Why its word is not to be relied on any more, as a clause; undefined: it is. */
  outage(): string | undefined;
  expose(registry: Registry): void;
  /** Resolves when nothing is read or told any more. */
  close(): Promise<void>;
}

/** How much of what exists a source has announced. */
export type Known = 'all' | 'part';

/** Whom a source tells. */
export interface Listener {
  /** What changed since the last call; also all there is at the start, and only what changed ever after. */
  onEvents(events: readonly MeshEvent[]): void;
  /**
   * After the events of what was there at the start. With 'part' some of it could not be read, so that an object
   * that is missing may exist; called again with 'all' once that is over.
   */
  onSynced(known: Known): void;
}
