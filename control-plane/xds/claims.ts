import { ClaimCursor, sumOfVersions } from './claim-entries.ts';
import type { ClaimEntries } from './claim-entries.ts';
import { NamePacker, NOTHING_GONE } from './gone-names.ts';
import type { GoneNames } from './gone-names.ts';
import {
  allResources,
  collectionOf,
  EMPTY_SET,
  findResource,
  isCollection,
  setLike,
  withResources,
} from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { claimedResource } from './resource.ts';
import type { Resource } from './resource.ts';

/** What a client that comes back holds of the resources that are served: `initial_resource_versions`, once read. */
export interface Claims {
  readonly count: number;
  /** The claimed resources that exist; one of our own sets where they are all of it. */
  resolve(history: History): ResourceSet;
}

/** Claims that are read, with what does not exist here. */
export interface ReadClaims extends Claims {
  /** What the client holds, may hold as far as it is subscribed, and is to be sent as removed. */
  readonly gone: GoneNames;
  /** What the claimed resources that differ from ours take until the stream is level, in bytes. */
  readonly bytes: number;
}

/** The sets of a type that were current lately, by their versions, and the one that is. */
export interface History {
  readonly set: ResourceSet;
  readonly recent: ReadonlyMap<string, ResourceSet>;
}

export const NO_CLAIMS: Claims = { count: 0, resolve: () => EMPTY_SET };

/** What a read set of claims costs for each resource in which it differs from a set of ours. */
const BYTES_PER_RESOURCE = 192;

/** How many entries are read between two looks at the clock. */
const ENTRIES_PER_LOOK = 64;

/** Reads the claims of a first request, in as many slices as its caller wants. */
export class ClaimsReading {
  readonly #entries: ClaimEntries;
  readonly #set: ResourceSet;
  readonly #isSubscribed: Coverage;
  readonly #cursor: ClaimCursor;
  readonly #claimed = new Map<string, Resource>();
  readonly #gone: NamePacker;
  #result: ReadClaims | undefined;

  /** `subscribe`: the names of the same request. `chunkBytes`: how many bytes of names go into one response. */
  constructor(
    entries: ClaimEntries,
    history: History,
    { subscribe, chunkBytes }: { readonly subscribe: readonly string[]; readonly chunkBytes: number },
  ) {
    this.#entries = entries;
    this.#set = history.set;
    this.#cursor = new ClaimCursor(entries);
    this.#isSubscribed = coverageOf(subscribe);
    this.#gone = new NamePacker(chunkBytes);
    const known = knownSet(entries, history);
    if (known !== undefined)
      this.#result = readClaims(entries.count, known, { gone: NOTHING_GONE, edits: 0 });
  }

  /** Reads on while `hasTime`, which is asked now and then; undefined: there is more to read. */
  advance(hasTime: () => boolean): ReadClaims | undefined {
    while (this.#result === undefined) {
      for (let nth = 0; nth < ENTRIES_PER_LOOK; nth += 1) {
        if (!this.#cursor.next()) return this.#finish();
        this.#take();
      }
      if (!hasTime()) return undefined;
    }
    return this.#result;
  }

  #take(): void {
    const { name } = this.#cursor;
    const coverage = this.#isSubscribed(name);
    if (coverage === 'none') return;
    const ours = findResource(this.#set, name);
    if (ours !== undefined) {
      const { version } = this.#cursor;
      this.#claimed.set(name, ours.version === version ? ours : claimedResource(ours.name, version));
    } else if (coverage === 'implied') {
      this.#gone.add(this.#entries.message, this.#cursor.nameStart, this.#cursor.nameEnd);
    }
  }

  #finish(): ReadClaims {
    const held = heldSet(this.#set, this.#claimed);
    this.#result = readClaims(this.#entries.count, held.set, { ...held, gone: this.#gone.names() });
    this.#claimed.clear();
    return this.#result;
  }
}

/** Reads the claims of a request; yields where another slice has to begin. Undefined: it was over before the end. */
export function* readClaimsInSlices(
  { claims, subscribe }: { readonly claims: ClaimEntries; readonly subscribe: readonly string[] },
  history: History & { readonly stepBytes: number },
  { hasTime, isOver }: { readonly hasTime: () => boolean; readonly isOver: () => boolean },
): Generator<undefined, ReadClaims | undefined, undefined> {
  const reading = new ClaimsReading(claims, history, { subscribe, chunkBytes: history.stepBytes });
  while (!isOver()) {
    const result = reading.advance(hasTime);
    if (result !== undefined) return result;
    yield;
  }
  return undefined;
}

/** Reads claims in one go. */
export function readAllClaims(...reading: ConstructorParameters<typeof ClaimsReading>): ReadClaims {
  return new ClaimsReading(...reading).advance(() => true) as ReadClaims;
}

/** How a subscription covers a name: not at all, by itself, or by its collection or the wildcard. */
type Coverage = (name: string) => 'none' | 'explicit' | 'implied';

/** A name that is subscribed to by itself is answered anyway, and need not be sent as removed once more. */
function coverageOf(subscribe: readonly string[]): Coverage {
  const names = new Set(subscribe);
  const isWildcard = names.size === 0 || names.has('*');
  const collections = new Set(subscribe.filter(isCollection).map(collectionOf));
  return (name) => {
    if (names.has(name)) return 'explicit';
    return isWildcard || collections.has(collectionOf(name)) ? 'implied' : 'none';
  };
}

/**
 * The set of ours that these versions are exactly. Asked first, because after an interruption nearly all clients
 * hold what we sent lately: the sum of the claimed versions is looked up as that of a set, and no name is.
 */
function knownSet(entries: ClaimEntries, { set, recent }: History): ResourceSet | undefined {
  if (entries.count === 0) return EMPTY_SET;
  const version = sumOfVersions(entries);
  if (version === undefined) return undefined;
  const known = version === set.version ? set : recent.get(version);
  return known?.size === entries.count ? known : undefined;
}

/** The claimed resources as a set; a client that lacks little shares nearly all of ours. */
function heldSet(
  set: ResourceSet,
  claimed: ReadonlyMap<string, Resource>,
): { readonly set: ResourceSet; readonly edits: number } {
  if (4 * claimed.size < 3 * set.size) return { set: setLike(set, claimed), edits: claimed.size };
  const edits: (readonly [string, Resource | undefined])[] = [];
  for (const ours of allResources(set)) {
    const held = claimed.get(ours.name);
    if (held !== ours) edits.push([ours.name, held]);
  }
  return { set: withResources(set, edits), edits: edits.length };
}

function readClaims(
  count: number,
  set: ResourceSet,
  { gone, edits }: { readonly gone: GoneNames; readonly edits: number },
): ReadClaims {
  return { count, resolve: () => set, gone, bytes: edits * BYTES_PER_RESOURCE };
}
