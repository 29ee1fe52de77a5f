import type { ObjectIdentity } from '../mesh/object.ts';
import { objectLabel } from '../mesh/object.ts';
import type { Rejection } from '../mesh/rejection.ts';
import type { MeshEvent } from '../mesh/state.ts';

/** An object as one file has it. */
export interface Entry {
  readonly identity: ObjectIdentity;
  readonly object: unknown;
  /** `examples/hello/hello.yaml:12` */
  readonly origin: string;
}

/** What a file has of one object, in order; it may have it several times. */
interface Copies {
  readonly entries: Entry[];
  /** Whether the file has it now, and not only before it broke or lost it for the moment. */
  readonly isCurrent: boolean;
}

type FileObjects = ReadonlyMap<string, Copies>;

const NO_OBJECTS: FileObjects = new Map();

/**
 * Which file each object comes from. If several copies are in the files, the last one counts, as if kubectl applied
 * the files in their order; what a file had before counts only where no file has it now. Pure: files are named,
 * never read.
 */
export class Catalog {
  readonly #files = new Map<string, FileObjects>();
  /** The files that have an object, by the label of the object. */
  readonly #holders = new Map<string, Set<string>>();
  /** Objects of which there are several copies. */
  readonly #contested = new Set<string>();
  readonly #touched = new Set<string>();
  readonly #served = new Map<string, Entry>();

  /** The file has these objects now. `keepsOthers`: what it had before and lacks now stays until the next call. */
  setFile(file: string, entries: readonly Entry[], keepsOthers = false): void {
    const before = this.#files.get(file) ?? NO_OBJECTS;
    const after = new Map<string, Copies>();
    for (const entry of entries) {
      const label = objectLabel(entry.identity);
      const copies = after.get(label);
      if (copies === undefined) after.set(label, { entries: [entry], isCurrent: true });
      else copies.entries.push(entry);
    }
    for (const [label, copies] of before) {
      if (after.has(label)) continue;
      if (keepsOthers) after.set(label, { ...copies, isCurrent: false });
      else this.#leave(file, label);
    }
    for (const label of after.keys()) this.#enter(file, label);
    this.#files.set(file, after);
  }

  removeFile(file: string): void {
    this.setFile(file, []);
    this.#files.delete(file);
  }

  /** Lets go of what the file has no more. */
  dropKept(file: string): void {
    const objects = [...(this.#files.get(file) ?? NO_OBJECTS).values()];
    if (objects.every(({ isCurrent }) => isCurrent)) return;
    this.setFile(
      file,
      objects.flatMap(({ entries, isCurrent }) => (isCurrent ? entries : [])),
    );
  }

  /** What changed since the last call: at most one event for each object, its last state. */
  takeEvents(): readonly MeshEvent[] {
    const events: MeshEvent[] = [];
    for (const label of this.#touched) {
      const served = this.#served.get(label);
      const copies = this.#copiesOf(label);
      if (copies.length > 1) this.#contested.add(label);
      else this.#contested.delete(label);
      const entry = copies.at(-1);
      if (entry === undefined) {
        if (served !== undefined) events.push({ type: 'delete', ...served.identity });
        this.#served.delete(label);
      } else if (entry.object !== served?.object || entry.origin !== served?.origin) {
        events.push({ type: 'upsert', object: entry.object, origin: entry.origin });
        this.#served.set(label, entry);
      }
    }
    this.#touched.clear();
    return events;
  }

  /** One for each copy that does not count, naming both places; as of the last `takeEvents`. */
  get duplicates(): readonly Rejection[] {
    return [...this.#contested].flatMap((object) => {
      const copies = this.#copiesOf(object);
      const last = copies.pop()?.origin;
      const problems = [`is in ${last} as well, which comes later and counts: remove one of the two`];
      return copies.map(({ origin }) => ({ object, origin, problems }));
    });
  }

  /** The copies of an object in the order of their files; the last one counts. */
  #copiesOf(label: string): Entry[] {
    const copies = [...(this.#holders.get(label) ?? [])].toSorted(inOrder).flatMap((file) => {
      return this.#files.get(file)?.get(label) ?? [];
    });
    const current = copies.filter(({ isCurrent }) => isCurrent);
    return (current.length > 0 ? current : copies.slice(-1)).flatMap(({ entries }) => entries);
  }

  #enter(file: string, label: string): void {
    this.#touched.add(label);
    const holders = this.#holders.get(label) ?? new Set();
    this.#holders.set(label, holders.add(file));
  }

  #leave(file: string, label: string): void {
    this.#touched.add(label);
    const holders = this.#holders.get(label);
    holders?.delete(file);
    if (holders?.size === 0) this.#holders.delete(label);
  }
}

/** As kubectl walks a folder: name by name, and a folder where its own name stands. */
function inOrder(one: string, other: string): number {
  return one.replaceAll('/', '\0') < other.replaceAll('/', '\0') ? -1 : 1;
}
