import type { FoundFile } from './directory.ts';

export interface SettleTimes {
  /** How long a file has to stay as it is before it is read. */
  readonly settleMs: number;
  /** The same for a file of no bytes, which is most likely about to be written. */
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
}

/** A file that has come to rest in another state than it was last read in. */
export type Settled =
  { readonly path: string; readonly file: FoundFile } | { readonly path: string; readonly file: undefined };

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
        this.#files.set(path, { sight: file, since, taken: undefined, isKnown: false });
      } else if (watched.sight?.stamp !== file.stamp) Object.assign(watched, { sight: file, since: now });
    }
    for (const [path, watched] of this.#files) {
      if (watched.sight === undefined || files.has(path) || isHidden(path)) continue;
      Object.assign(watched, { sight: undefined, since: now });
    }
  }

  /** Changed files that have come to rest, by path; each is told once. */
  take(now: number): readonly Settled[] {
    const settled: Settled[] = [];
    for (const [path, watched] of this.#files) {
      if (!isChanged(watched) || this.#restsAt(watched) > now) continue;
      Object.assign(watched, { taken: watched.sight, isKnown: true });
      if (watched.sight === undefined) this.#files.delete(path);
      settled.push({ path, file: watched.sight });
    }
    return settled.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** It changed while it was read: it is to be told again once it rests. */
  putBack(path: string, now: number): void {
    const watched = this.#files.get(path);
    if (watched !== undefined) Object.assign(watched, { since: now, taken: undefined, isKnown: false });
  }

  /** It could not be read for a reason that its stamp may not show: it is to be told again after that moment. */
  retry(path: string, moment: number): void {
    const watched = this.#files.get(path);
    if (watched !== undefined) Object.assign(watched, { since: moment, taken: undefined });
  }

  /** Whether every file that is there has been told, in this state or an earlier one. */
  get isComplete(): boolean {
    return [...this.#files.values()].every(({ isKnown }) => isKnown);
  }

  /** Files that have never been told, since they do not come to rest. */
  restless(now: number): readonly string[] {
    const changing = [...this.#files].filter(([, file]) => !file.isKnown && this.#restsAt(file) > now);
    return changing.map(([path]) => path);
  }

  /** When the next file may come to rest; undefined: all of them do. */
  get nextRest(): number | undefined {
    const moments = [...this.#files.values()].filter(isChanged).map((watched) => this.#restsAt(watched));
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  #restsAt({ sight, since }: Watched): number {
    return since + (sight?.size === 0 ? this.#times.emptySettleMs : this.#times.settleMs);
  }
}

function isChanged({ sight, taken }: Watched): boolean {
  return sight?.stamp !== taken?.stamp || (sight === undefined && taken === undefined);
}
