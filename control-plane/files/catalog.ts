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

/** What a file has of one object; a file may have it several times, and each is a claim of its own. */
interface Claim {
  entry: Entry;
  givesWay: boolean;
}

/** `gives-way`: stays unless another claims the object, since it may have moved there. */
export type IfMissing = 'goes' | 'gives-way' | 'stays';

/**
 * Which file each object comes from. Where several claim one object, the claim that was there first holds it
 * and the others wait in the order in which they came; when it goes, the next one enters. Pure: files are
 * named, never read.
 */
export class Catalog {
  readonly #files = new Map<string, Map<string, Claim>>();
  /** By object, in the order in which they came. */
  readonly #claims = new Map<string, Claim[]>();
  readonly #contested = new Set<string>();
  readonly #touched = new Set<string>();
  readonly #told = new Map<string, Entry>();

  /** The file has these objects now, in this order. `ifMissing`: what becomes of others that it had before. */
  setFile(file: string, entries: readonly Entry[], ifMissing: IfMissing = 'goes'): void {
    const before = this.#files.get(file) ?? new Map<string, Claim>();
    const after = new Map<string, Claim>();
    const seen = new Map<string, number>();
    for (const entry of entries) {
      const label = objectLabel(entry.identity);
      const occurrence = seen.get(label) ?? 0;
      seen.set(label, occurrence + 1);
      const key = `${label} ${occurrence}`;
      const claim = before.get(key) ?? this.#enter(label, entry);
      Object.assign(claim, { entry, givesWay: false });
      this.#touched.add(label);
      after.set(key, claim);
    }
    for (const [key, claim] of before) {
      if (after.has(key)) continue;
      if (ifMissing === 'goes') this.#leave(claim);
      else {
        claim.givesWay = ifMissing === 'gives-way';
        this.#touched.add(objectLabel(claim.entry.identity));
        after.set(key, claim);
      }
    }
    if (after.size > 0) this.#files.set(file, after);
    else this.#files.delete(file);
  }

  removeFile(file: string): void {
    this.setFile(file, []);
  }

  /** What changed since the last call: of each object at most one event, its last state. */
  takeEvents(): readonly MeshEvent[] {
    const events: MeshEvent[] = [];
    for (const label of this.#touched) {
      const told = this.#told.get(label);
      const entry = holderOf(this.#claims.get(label) ?? [])?.entry;
      if (entry === undefined) {
        if (told !== undefined) events.push({ type: 'delete', ...told.identity });
        this.#told.delete(label);
      } else if (entry.object !== told?.object || entry.origin !== told?.origin) {
        events.push({ type: 'upsert', object: entry.object, origin: entry.origin });
        this.#told.set(label, entry);
      }
    }
    this.#touched.clear();
    return events;
  }

  /** One for each claim that waits, naming both places. */
  get duplicates(): readonly Rejection[] {
    return [...this.#contested].flatMap((object) => {
      const claims = this.#claims.get(object) ?? [];
      const holder = holderOf(claims);
      const waiting = claims.filter((claim) => claim !== holder && !claim.givesWay);
      return waiting.map(({ entry: { origin } }) => ({
        object,
        origin,
        problems: [
          `is in ${holder?.entry.origin} as well, which was there first and stays: remove one of the two`,
        ],
      }));
    });
  }

  #enter(label: string, entry: Entry): Claim {
    const claim = { entry, givesWay: false };
    const claims = this.#claims.get(label) ?? [];
    claims.push(claim);
    this.#setClaims(label, claims);
    return claim;
  }

  #leave(claim: Claim): void {
    const label = objectLabel(claim.entry.identity);
    const claims = this.#claims.get(label) ?? [];
    this.#setClaims(
      label,
      claims.filter((other) => other !== claim),
    );
    this.#touched.add(label);
  }

  #setClaims(label: string, claims: Claim[]): void {
    if (claims.length === 0) this.#claims.delete(label);
    else this.#claims.set(label, claims);
    if (claims.length > 1) this.#contested.add(label);
    else this.#contested.delete(label);
  }
}

function holderOf(claims: readonly Claim[]): Claim | undefined {
  return claims.find(({ givesWay }) => !givesWay) ?? claims[0];
}
