import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../process/log.ts';
import type { Rejection } from '../mesh/rejection.ts';
import { formatRejection } from '../mesh/rejection.ts';
import type { MeshEvent } from '../mesh/state.ts';
import { explain, listDirectory } from './directory.ts';
import type { Listing } from './directory.ts';
import { DirectoryWatch } from './directory-watch.ts';
import { FileContents } from './file-contents.ts';
import { FileReads } from './file-reads.ts';
import { limited } from './limits.ts';
import { Settling } from './settling.ts';
import { EVERYTHING, stillUnknown } from './unknown-files.ts';

export interface FilesSourceOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** What changed in the files since the last call; at the start, all that could be read. */
  readonly onEvents: (events: readonly MeshEvent[]) => void;
  /**
   * Called after the events of the start, and again with 'all' once everything that was there at the start could be
   * read or is gone. Until then ('part'), an object that was not announced may be in what could not be read.
   */
  readonly onSynced: (known: 'all' | 'part') => void;
  /** How long a file has to stay as it is before it is read. Default 50 ms. */
  readonly settleMs?: number;
  /** How long before what it lacks, be it everything, counts as gone. Default 2 s. */
  readonly emptySettleMs?: number;
  /** How often to look without being told. Default 10 s. */
  readonly rescanMs?: number;
  /** How long the start waits for files that are slow to parse or keep changing. Default 10 s. */
  readonly startMs?: number;
  /** How long a file may take to parse before it has to wait for other slow ones. Default 500 ms. */
  readonly quickMs?: number;
  /** How long a file may take to parse at all. Default 30 s. */
  readonly slowMs?: number;
  /** Of one file. Default 16 MiB. */
  readonly mostBytes?: number;
  /** Of all files together. Default 64 MiB. */
  readonly mostBytesTogether?: number;
}

export interface FilesSource {
  /** Begins to read and to watch; what was found arrives later, by `onEvents` and `onSynced`. Never rejects. */
  start(): Promise<Started>;
  /** Resolves when nothing is read or watched any more; no callback is called after that. */
  close(): Promise<void>;
  /** What stands in the way of some file or object just now; of what an object says, the mesh is the judge. */
  rejections(): readonly Rejection[];
  /** What keeps the source from serving all files as they stand: rejections, and files that are still being read. */
  remarks(): readonly string[];
}

export type Started =
  | { readonly outcome: 'started' }
  /** `problem` is a sentence for whoever named the directory. */
  | { readonly outcome: 'failed'; readonly problem: string };

/**
 * A directory of Kubernetes YAML and JSON (`.yaml`, `.yml`, `.json`) as a source of the mesh. Directories below
 * it are included and symbolic links are followed; names that begin with a dot are left out.
 */
export function createFilesSource(options: FilesSourceOptions): FilesSource {
  return new DirectorySource(options);
}

const DEFAULTS = {
  settleMs: 50,
  emptySettleMs: 2_000,
  rescanMs: 10_000,
  startMs: 10_000,
  quickMs: 500,
  slowMs: 30_000,
  mostBytes: 16 * 1024 * 1024,
  mostBytesTogether: 64 * 1024 * 1024,
} as const;

/** Many reports come at once when a file is saved, and many files are read at once: one answer does for all. */
const LEAST_DELAY_MS = 5;
/** A directory that is gone cannot be watched. */
const MISSING_RESCAN_MS = 500;

class DirectorySource implements FilesSource {
  readonly #options: Required<FilesSourceOptions>;
  readonly #settling: Settling;
  readonly #contents: FileContents;
  readonly #reads: FileReads;
  readonly #watch: DirectoryWatch;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Infinity;
  #look: Promise<void> | undefined;
  #lookDelayMs = LEAST_DELAY_MS;
  #publishing: NodeJS.Timeout | undefined;
  #startEnds = Infinity;
  #listing: Listing | undefined;
  #unknown = EVERYTHING;
  #rejections: readonly Rejection[] = [];
  #synced: 'all' | 'part' | undefined;
  #isClosed = false;

  constructor(options: FilesSourceOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#settling = new Settling(this.#options);
    this.#contents = new FileContents(this.#options);
    this.#reads = new FileReads({
      ...this.#options,
      contents: this.#contents,
      settling: this.#settling,
      now,
      onRead: () => this.#publishSoon(),
    });
    this.#watch = new DirectoryWatch(
      () => this.#lookWithin(this.#lookDelayMs),
      (directory, error) =>
        options.logger.warn('Cannot watch a directory; its changes are found by looking from time to time', {
          directory,
          error: error.message,
          everyMs: this.#options.rescanMs,
        }),
    );
  }

  async start(): Promise<Started> {
    const { directory, startMs } = this.#options;
    try {
      const found = await stat(directory);
      if (!found.isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    } catch (error) {
      return { outcome: 'failed', problem: `The directory ${directory} ${explain(error)}` };
    }
    this.#startEnds = now() + startMs;
    this.#lookWithin(0);
    return { outcome: 'started' };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#look;
    await this.#reads.close();
    clearTimeout(this.#publishing);
    this.#watch.close();
  }

  rejections(): readonly Rejection[] {
    return this.#rejections;
  }

  remarks(): readonly string[] {
    const remarks = this.#rejections.map(formatRejection);
    for (const path of this.#reads.slow) {
      remarks.push(`${this.#label(path)}: takes long to parse; until it is read, what it said before stays`);
    }
    if (this.#synced === 'all') return remarks;
    for (const path of this.#settling.unread) {
      remarks.push(`${this.#label(path)}: has not been read yet, since it keeps changing: leave it alone`);
    }
    return remarks;
  }

  /** Looks after so many milliseconds at the latest. */
  #lookWithin(milliseconds: number): void {
    const due = now() + milliseconds;
    if (this.#isClosed || due >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = due;
    this.#timer = setTimeout(() => {
      this.#timerDue = Infinity;
      // A look that is under way may have passed by what has changed: another one follows it.
      this.#look = (this.#look ?? Promise.resolve()).then(async () => this.#lookOnce());
    }, milliseconds);
  }

  async #lookOnce(): Promise<void> {
    if (this.#isClosed) return;
    const began = now();
    let nextMs = this.#options.rescanMs;
    try {
      this.#listing = await listDirectory(this.#options.directory);
      if (this.#isClosed) return;
      if (this.#listing !== undefined) this.#takeIn(this.#listing);
      else {
        this.#watch.follow(new Map());
        nextMs = Math.min(nextMs, MISSING_RESCAN_MS);
      }
      this.#publishSoon();
    } catch (error) {
      this.#options.logger.error('Looking through the files failed; the last good state stays', { error });
    }
    // However large the directory and however busy its writers, half of the time is left to others.
    this.#lookDelayMs = Math.max(LEAST_DELAY_MS, now() - began);
    this.#lookWithin(Math.min(nextMs, this.#untilNextRest()));
  }

  #untilNextRest(): number {
    return Math.max(this.#lookDelayMs, (this.#settling.nextRest ?? Infinity) - now());
  }

  #takeIn(listing: Listing): void {
    if (this.#watch.follow(listing.directories)) this.#lookWithin(this.#lookDelayMs);
    const hidden = [...listing.unreadable.keys()];
    this.#settling.look(
      limited(listing.files, this.#options),
      (path) => hidden.some((place) => place === '' || path === place || path.startsWith(`${place}/`)),
      now(),
    );
    for (const settled of this.#settling.take(now())) this.#reads.begin(settled);
  }

  /** Many files may be read in a moment: what comes of it goes out together. */
  #publishSoon(): void {
    if (this.#isClosed) return;
    this.#publishing ??= setTimeout(() => {
      this.#publishing = undefined;
      this.#publish();
      this.#lookWithin(this.#untilNextRest());
    }, LEAST_DELAY_MS);
  }

  #publish(): void {
    const isRead = this.#listing !== undefined && this.#settling.unread.length === 0 && this.#reads.isIdle;
    if (this.#synced !== undefined || isRead || now() >= this.#startEnds) {
      const events = this.#contents.takeEvents();
      if (events.length > 0) this.#options.onEvents(events);
      this.#report();
      this.#tellKnown();
      return;
    }
    this.#lookWithin(this.#startEnds - now());
    this.#report();
  }

  #tellKnown(): void {
    if (this.#synced === 'all') return;
    if (this.#listing !== undefined) {
      const unread = this.#settling.paths.filter((path) => !this.#contents.wasWhole(path));
      this.#unknown = stillUnknown(this.#unknown, [...this.#listing.unreadable.keys(), ...unread]);
    }
    const known = this.#unknown.size === 0 ? 'all' : 'part';
    if (known === this.#synced) return;
    this.#synced = known;
    if (known === 'part') {
      this.#options.logger.error(
        'Serving without some files; nothing is removed from sidecars before they are read',
        {
          files: [...this.#unknown].slice(0, MOST_NAMED).map((path) => this.#label(path)),
          count: this.#unknown.size,
        },
      );
    }
    this.#options.onSynced(known);
  }

  #label(path: string): string {
    const { directory } = this.#options;
    return path === '' ? `Directory ${directory}` : `File ${join(directory, path)}`;
  }

  /** A directory that is gone or cannot be read is no empty one: what was read from it before stays. */
  #directoryProblems(): readonly Rejection[] {
    const unreadable = this.#listing?.unreadable ?? new Map([['', 'does not exist any more: put it back']]);
    return [...unreadable].map(([path, problem]) => ({
      object: this.#label(path),
      origin: undefined,
      problems: [`${problem}; what was read there before stays`],
    }));
  }

  #report(): void {
    const before = new Set(this.#rejections.map(formatRejection));
    this.#rejections = [
      ...this.#directoryProblems(),
      ...this.#contents.illegible,
      ...this.#contents.duplicates,
    ];
    for (const rejection of this.#rejections) {
      if (!before.has(formatRejection(rejection))) this.#options.logger.warn('Rejected', { ...rejection });
    }
  }
}

/** Of files in a line of the log. */
const MOST_NAMED = 20;

/** Milliseconds since 1970, as files tell time, and yet never going back. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
