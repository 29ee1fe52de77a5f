import type { FoundFile } from './directory.ts';

export interface SettleTimes {
  /** How long a file has to stay as it is before it is read. */
  readonly settleMs: number;
  /**
   * How long before what it lacks counts as left out on purpose: a file that is gone, or has no bytes, or ends
   * between two documents, is most likely being written. Not less than the coarsest time stamps of file systems, 2 s.
   */
  readonly emptySettleMs: number;
}

/** Undefined: the file is gone. */
export type Sight = FoundFile | undefined;

interface Watched {
  sight: Sight;
  since: number;
  /** What was last handed out to be read; undefined: nothing yet, or its absence. */
  taken: Sight;
  /** Whether it was handed out at all, in whatever state. */
  isKnown: boolean;
  /** Whether it was handed out after it had rested for long. */
  isFinal: boolean;
}

/**
 * A file that has come to rest. It is told early, so that what was added and changed enters soon, and once more
 * as final: by then what it lacks is left out on purpose, and a second change within one tick of a coarse time
 * stamp, which left no other trace, is in it.
 */
export type Settled =
  | { readonly path: string; readonly file: FoundFile; readonly isFinal: boolean }
  | { readonly path: string; readonly file: undefined };

/**
 * Tells which files have changed and come to rest. What is half-written, and the moment between an editor's
 * deleting a file and writing it anew, must not be taken for what a person meant. The clock is an argument.
 */
export class Settling {
  readonly #times: SettleTimes;
  readonly #files = new Map<string, Watched>();
  #hasLooked = false;

  constructor(times: SettleTimes) {
    this.#times = times;
  }

  /**
   * What is there now. A path for which `isHidden` says true may be there and cannot be seen. At the first
   * look a file has been as it is since it was last modified; later, since it was first seen so.
   */
  look(files: ReadonlyMap<string, FoundFile>, isHidden: (path: string) => boolean, now: number): void {
    const isFirst = !this.#hasLooked;
    this.#hasLooked = true;
    for (const [path, file] of files) {
      const watched = this.#files.get(path);
      if (watched === undefined) {
        const since = isFirst ? Math.min(now, file.modified) : now;
        this.#files.set(path, { sight: file, since, taken: undefined, isKnown: false, isFinal: false });
      } else if (watched.sight?.stamp !== file.stamp) {
        Object.assign(watched, { sight: file, since: now, isFinal: false });
      }
    }
    for (const [path, watched] of this.#files) {
      if (watched.sight === undefined || files.has(path) || isHidden(path)) continue;
      Object.assign(watched, { sight: undefined, since: now, isFinal: false });
    }
  }

  /** Changed files that have come to rest, by path; those that had not rested for long are told again. */
  take(now: number): readonly Settled[] {
    const settled: Settled[] = [];
    for (const [path, watched] of this.#files) {
      const { sight, since } = watched;
      if (watched.isFinal || this.#restsAt(watched) > now) continue;
      const isFinal = since + this.#times.emptySettleMs <= now;
      Object.assign(watched, { taken: sight, isKnown: true, isFinal });
      if (sight === undefined) this.#files.delete(path);
      settled.push({ path, file: sight, isFinal });
    }
    return settled.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** It changed while it was read: it is to be told again once it rests. */
  putBack(path: string, now: number): void {
    const watched = this.#files.get(path);
    if (watched !== undefined)
      Object.assign(watched, { since: now, taken: undefined, isKnown: false, isFinal: false });
  }

  /** It could not be read for a reason that its stamp may not show: it is to be told again after that moment. */
  retry(path: string, moment: number): void {
    const watched = this.#files.get(path);
    if (watched !== undefined) Object.assign(watched, { since: moment, taken: undefined, isFinal: false });
  }

  /** Files that are there, or were until a moment ago. */
  get paths(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Files that have never been handed out, since they do not come to rest. */
  get unread(): readonly string[] {
    return [...this.#files].filter(([, { isKnown }]) => !isKnown).map(([path]) => path);
  }

  /** When there may be a file to tell; undefined: all are told. */
  get nextRest(): number | undefined {
    const waiting = [...this.#files.values()].filter(({ isFinal }) => !isFinal);
    return waiting.length === 0
      ? undefined
      : waiting.reduce((next, watched) => Math.min(next, this.#restsAt(watched)), Infinity);
  }

  /** When it may be told next. */
  #restsAt(watched: Watched): number {
    const { sight } = watched;
    const isEarly = sight !== undefined && sight.size > 0 && isChanged(watched);
    return watched.since + (isEarly ? this.#times.settleMs : this.#times.emptySettleMs);
  }
}

function isChanged({ sight, taken }: Watched): boolean {
  return sight?.stamp !== taken?.stamp;
}
