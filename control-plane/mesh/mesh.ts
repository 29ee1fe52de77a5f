import type { Snapshot, SnapshotCell } from '../xds/snapshot.ts';
import { withChanges } from '../xds/snapshot.ts';
import { apply } from './apply.ts';
import type { Clock, CoalescingWindow } from './coalescer.ts';
import { Coalescer, DEFAULT_WINDOW } from './coalescer.ts';
import { compile } from './compile.ts';
import type { Rejection } from './rejection.ts';
import { sameRejection } from './rejection.ts';
import type { MeshEvent, MeshState } from './state.ts';
import { EMPTY_STATE } from './state.ts';

export interface MeshOptions {
  readonly snapshots: Pick<SnapshotCell, 'current' | 'replace'>;
  readonly clock: Clock;
  readonly window?: CoalescingWindow;
  /** Called once for each rejection that says something new. */
  readonly onRejection?: (rejection: Rejection) => void;
  /** Called once for each object that newly enters without some part of it. */
  readonly onWarning?: (warning: Rejection) => void;
}

/**
 * The cell between a source of Kubernetes objects and the snapshots that are served: it holds the state of
 * the mesh and publishes what changed. Until the source has told all that it found at the start, nothing is
 * published, since half a mesh looks like a mesh that lost the other half.
 */
export class Mesh {
  readonly #options: MeshOptions;
  readonly #coalescer: Coalescer;
  readonly #dirty = { nodes: new Set<string>(), services: new Set<string>(), endpoints: new Set<string>() };
  #state: MeshState = EMPTY_STATE;
  #isSynced = false;
  #isPartial = false;

  constructor(options: MeshOptions) {
    this.#options = options;
    const window = options.window ?? DEFAULT_WINDOW;
    this.#coalescer = new Coalescer(options.clock, window, () => this.#publish());
  }

  /** The events of one moment: what they change is published together. */
  apply(events: readonly MeshEvent[]): void {
    const before = this.#state;
    const { state, dirty, rejections, warnings } = apply(before, events);
    this.#state = state;
    for (const name of dirty.nodes) this.#dirty.nodes.add(name);
    for (const name of dirty.services) this.#dirty.services.add(name);
    for (const name of dirty.endpoints) this.#dirty.endpoints.add(name);
    if (this.#isSynced && this.#isDirty) this.#coalescer.changed();
    tellNews(rejections, before.rejections, this.#options.onRejection);
    tellNews(warnings, before.warnings, this.#options.onWarning);
  }

  /**
   * The source has announced what it found at the start: from now on the mesh is published. Of a part of it, nothing
   * is removed from clients, since what is missing may exist.
   */
  synced(known: 'all' | 'part' = 'all'): void {
    this.#isSynced = true;
    this.#isPartial = known === 'part';
    if (this.#isDirty || this.#isPartial !== isPartialSnapshot(this.#options.snapshots.current))
      this.#coalescer.changed();
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get state(): MeshState {
    return this.#state;
  }

  /** Objects whose newest state stands outside, until they become good or vanish; sorted by name. */
  get rejections(): readonly Rejection[] {
    return sorted(this.#state.rejections.values());
  }

  /** Objects that entered without some part of them; sorted by name. */
  get warnings(): readonly Rejection[] {
    return sorted(this.#state.warnings.values());
  }

  /** Objects whose newest state cannot be read, or only in part; sorted by name. */
  get unreadable(): readonly string[] {
    const { rejections, incomplete } = this.#state;
    return [...new Set([...rejections.keys(), ...incomplete.keys()])].toSorted();
  }

  /** Whether an earlier state of a rejected object is served. */
  hasLastGood({ object }: Rejection): boolean {
    const { services, pods, nodes } = this.#state;
    const [kind, key = ''] = object.split(' ');
    // A Service that was never good is served, too, as one of which only the name is known.
    if (kind === 'Service') return (services.get(key)?.type ?? 'other') !== 'other';
    if (kind === 'EndpointSlice') return this.#hasEndpoints(key);
    return { Pod: pods, Node: nodes }[kind ?? '']?.has(key) ?? false;
  }

  /** A slice that was never good is served without any. */
  #hasEndpoints(slice: string): boolean {
    const { owners, slices } = this.#state;
    const name = slice.slice(slice.indexOf('/') + 1);
    return (slices.get(owners.get(slice) ?? '')?.get(name)?.endpoints.length ?? 0) > 0;
  }

  /** Publishes nothing any more. */
  close(): void {
    this.#isSynced = false;
    this.#coalescer.close();
  }

  get #isDirty(): boolean {
    return this.#dirty.nodes.size + this.#dirty.services.size + this.#dirty.endpoints.size > 0;
  }

  #publish(): void {
    const { snapshots } = this.#options;
    const changes = compile(this.#state, this.#dirty);
    this.#dirty.nodes.clear();
    this.#dirty.services.clear();
    this.#dirty.endpoints.clear();
    const { current } = snapshots;
    const isPartial = this.#isPartial;
    const before = isPartialSnapshot(current) === isPartial ? current : { ...current, isPartial };
    const next = withChanges(before, changes);
    if (next !== snapshots.current) snapshots.replace(next);
  }
}

function isPartialSnapshot({ isPartial = false }: Snapshot): boolean {
  return isPartial;
}

function sorted(rejections: Iterable<Rejection>): readonly Rejection[] {
  return [...rejections].toSorted((a, b) => (a.object < b.object ? -1 : 1));
}

function tellNews(
  told: readonly Rejection[],
  before: MeshState['rejections'],
  tell: ((rejection: Rejection) => void) | undefined,
): void {
  for (const rejection of told) {
    if (!sameRejection(before.get(rejection.object), rejection)) tell?.(rejection);
  }
}
