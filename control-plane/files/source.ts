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
import { limited } from './limits.ts';
import { readText } from './read-file.ts';
import type { Settled } from './settling.ts';
import { Settling } from './settling.ts';

export interface FilesSourceOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** What changed in the files since the last call; also all of it at the start. */
  readonly onEvents: (events: readonly MeshEvent[]) => void;
  /**
   * Called once, after the events of everything that was there at the start. Until all of it could be read this
   * waits: what is illegible cannot be told from what is gone.
   */
  readonly onSynced: () => void;
  /** How long a file has to stay as it is before it is read. Default 50 ms. */
  readonly settleMs?: number;
  /** How long before what it lacks, be it everything, counts as gone. Default 2 s. */
  readonly emptySettleMs?: number;
  /** How often to look without being told. Default 10 s. */
  readonly rescanMs?: number;
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
  /** Those of them that have to be mended before `onSynced` is called; none after it. */
  obstacles(): readonly Rejection[];
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
  mostBytes: 16 * 1024 * 1024,
  mostBytesTogether: 64 * 1024 * 1024,
} as const;

/** Many reports come at once when a file is saved; one look answers them all. */
const LEAST_LOOK_DELAY_MS = 5;
/** A directory that is gone cannot be watched. */
const MISSING_RESCAN_MS = 500;

class DirectorySource implements FilesSource {
  readonly #options: Required<FilesSourceOptions>;
  readonly #settling: Settling;
  readonly #contents: FileContents;
  readonly #watch: DirectoryWatch;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Infinity;
  #look: Promise<void> | undefined;
  #lookDelayMs = LEAST_LOOK_DELAY_MS;
  #directoryProblems: readonly Rejection[] = [];
  #rejections: readonly Rejection[] = [];
  #obstacles: readonly Rejection[] = [];
  /** While some file has yet to come to rest for the first time. */
  #restlessSince: number | undefined;
  #isSynced = false;
  #isClosed = false;

  constructor(options: FilesSourceOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#settling = new Settling(this.#options);
    this.#contents = new FileContents(options.directory, options.logger);
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
    const { directory } = this.#options;
    try {
      const found = await stat(directory);
      if (!found.isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    } catch (error) {
      return { outcome: 'failed', problem: `The directory ${directory} ${explain(error)}` };
    }
    this.#lookWithin(0);
    return { outcome: 'started' };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#contents.close();
    clearTimeout(this.#timer);
    await this.#look;
    this.#watch.close();
  }

  rejections(): readonly Rejection[] {
    return this.#rejections;
  }

  obstacles(): readonly Rejection[] {
    return this.#obstacles;
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
      const listing = await listDirectory(this.#options.directory);
      if (this.#isClosed) return;
      this.#directoryProblems = this.#problemsOf(listing);
      if (listing === undefined) {
        this.#watch.follow(new Map());
        nextMs = Math.min(nextMs, MISSING_RESCAN_MS);
      } else await this.#takeIn(listing);
      this.#report();
    } catch (error) {
      this.#options.logger.error('Looking through the files failed; the last good state stays', { error });
    }
    // However large the directory and however busy its writers, half of the time is left to others.
    this.#lookDelayMs = Math.max(LEAST_LOOK_DELAY_MS, now() - began);
    const nextRestMs = Math.max(this.#lookDelayMs, (this.#settling.nextRest ?? Infinity) - now());
    this.#lookWithin(Math.min(nextMs, nextRestMs));
  }

  /** A directory that is gone or cannot be read is no empty one: what was read from it before stays. */
  #problemsOf(listing: Listing | undefined): readonly Rejection[] {
    const unreadable = listing?.unreadable ?? new Map([['', 'does not exist any more: put it back']]);
    return [...unreadable].map(([path, problem]) => ({
      object: this.#label(path),
      origin: undefined,
      problems: [`${problem}; what was read there before stays`],
    }));
  }

  async #takeIn(listing: Listing): Promise<void> {
    if (this.#watch.follow(listing.directories)) this.#lookWithin(this.#lookDelayMs);
    const hidden = [...listing.unreadable.keys()];
    this.#settling.look(
      limited(listing.files, this.#options),
      (path) => hidden.some((place) => place === '' || path === place || path.startsWith(`${place}/`)),
      now(),
    );
    if (!this.#isSynced && this.#isHeldUp()) return;
    for (const settled of this.#settling.take(now())) await this.#read(settled);
    if (this.#isClosed) return;
    const events = this.#contents.takeEvents();
    if (events.length > 0) this.#options.onEvents(events);
    if (this.#isSynced || !this.#settling.isComplete || this.#illegible.length > 0) return;
    this.#isSynced = true;
    this.#options.onSynced();
  }

  /**
   * At the start all files are read in one go: which of two claims came first is then told by their paths. A
   * file that never rests holds this up, and says so.
   */
  #isHeldUp(): boolean {
    const restless = this.#settling.restless(now());
    this.#restlessSince = restless.length === 0 ? undefined : (this.#restlessSince ?? now());
    const { settleMs, emptySettleMs } = this.#options;
    if (now() - (this.#restlessSince ?? Infinity) > 2 * (settleMs + emptySettleMs)) {
      const problems = ['keeps changing: nothing is served before it has been read once; leave it alone'];
      const rejections = restless.map((path) => ({ object: this.#label(path), origin: undefined, problems }));
      this.#directoryProblems = [...this.#directoryProblems, ...rejections];
    }
    return restless.length > 0;
  }

  async #read(settled: Settled): Promise<void> {
    const { path, file } = settled;
    if (this.#isClosed) return;
    if (file === undefined) {
      this.#contents.remove(path);
      return;
    }
    const onDisk = join(this.#options.directory, path);
    const read = await readText(onDisk, file);
    if (read.outcome === 'read') await this.#contents.set(path, read.text, settled.isFinal);
    else if (read.outcome === 'changed') this.#settling.putBack(path, now());
    else {
      this.#contents.fail(path, read.problem);
      if (read.mayPass) this.#settling.retry(path, now() + this.#options.rescanMs);
    }
  }

  #label(path: string): string {
    const { directory } = this.#options;
    return path === '' ? `Directory ${directory}` : `File ${join(directory, path)}`;
  }

  get #illegible(): readonly Rejection[] {
    return [...this.#directoryProblems, ...this.#contents.illegible];
  }

  #report(): void {
    const { logger } = this.#options;
    const before = new Set(this.#rejections.map(formatRejection));
    const illegible = this.#illegible;
    this.#rejections = [...illegible, ...this.#contents.duplicates];
    this.#obstacles = this.#isSynced ? [] : illegible;
    for (const rejection of this.#rejections) {
      if (before.has(formatRejection(rejection))) continue;
      if (this.#obstacles.includes(rejection)) {
        logger.error('Nothing is served before this can be read', { ...rejection });
      } else logger.warn('Rejected', { ...rejection });
    }
  }
}

/** Milliseconds since 1970, as files tell time, and yet never going back. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
