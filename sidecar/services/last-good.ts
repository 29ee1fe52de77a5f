import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../../process/log.ts';
import type { Schedule } from './interest.ts';
import type { LastGood, StoredType } from './last-good-file.ts';
import { formatLastGood, parseLastGood } from './last-good-file.ts';

export type Loaded =
  | { readonly kind: 'loaded'; readonly lastGood: LastGood }
  | { readonly kind: 'none' }
  /** `why` is a sentence that names the file. */
  | { readonly kind: 'unusable'; readonly why: string };

/**
 * A mesh of 100,000 Services takes less. In a pod the volume has 128Mi (`injector/patch.ts`), and three of them may
 * lie there: the old one, the new one beside it, and one that was of no use.
 */
const MAX_FILE_BYTES = 40 * 1024 * 1024;

/** What an earlier run left. A file that is of no use is put aside as `<path>.unusable`, for whoever wants to look. */
export async function loadLastGood(path: string): Promise<Loaded> {
  const content = await read(path);
  if (content.kind !== 'read') {
    return content;
  }
  const parsed = parseLastGood(content.text);
  if (parsed.ok) {
    return { kind: 'loaded', lastGood: parsed.lastGood };
  }
  const aside = `${path}.unusable`;
  const moved = await rename(path, aside).then(
    () => ` It was moved to ${aside}.`,
    () => '',
  );
  return { kind: 'unusable', why: `The last good table ${path} ${parsed.why}.${moved}` };
}

async function read(
  path: string,
): Promise<Exclude<Loaded, { kind: 'loaded' }> | { kind: 'read'; text: string }> {
  try {
    const { size } = await stat(path);
    return size > MAX_FILE_BYTES
      ? {
          kind: 'unusable',
          why: `The last good table ${path} has ${size} bytes, more than ${MAX_FILE_BYTES}.`,
        }
      : { kind: 'read', text: await readFile(path, 'utf8') };
  } catch (error) {
    return isMissing(error)
      ? { kind: 'none' }
      : { kind: 'unusable', why: `The last good table ${path} cannot be read: ${String(error)}.` };
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Writes a file so that at any moment, a power cut included, the whole old or the whole new one is there. */
export async function writeAtomically(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  // Who may talk to whom is nobody else's business on this machine.
  // What lies there, a link for instance, was made by somebody else or by a run that was cut off.
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

export interface LastGoodWriterOptions {
  readonly path: string;
  /** What is to be written, asked for when it is. */
  readonly collect: () => readonly StoredType[];
  readonly write: (path: string, content: string) => Promise<void>;
  readonly schedule: Schedule;
  readonly now: () => number;
  readonly maxBytes?: number;
  readonly log: Logger;
}

/** Changes within this time are written together. */
const DEBOUNCE_MS = 2000;
/** Serialising stops all else: it takes at most one part in so many of the time. */
const IDLE_PER_BUSY = 100;
/** How long after a failure the next attempt comes. */
const RETRY_MS = 60_000;

/** Keeps the file up to date, a little late and never in anybody's way. */
export class LastGoodWriter {
  readonly #options: LastGoodWriterOptions;
  #cancelTimer: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;
  #failures = 0;
  /** How long the last serialising took. */
  #busyMs = 0;
  #savedMs: number | undefined;
  #closed = false;

  constructor(options: LastGoodWriterOptions) {
    this.#options = options;
  }

  /** How many attempts to write have failed. */
  get failures(): number {
    return this.#failures;
  }

  /** When the file was last written by this run, in milliseconds since the epoch. */
  get savedMs(): number | undefined {
    return this.#savedMs;
  }

  /** There is something new to write. */
  changed(): void {
    if (!this.#closed && this.#cancelTimer === undefined) {
      this.#writeAfter(this.#failing ? RETRY_MS : Math.max(DEBOUNCE_MS, IDLE_PER_BUSY * this.#busyMs));
    }
  }

  /** Writes what is still to be written. Nothing is written after it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#cancelTimer !== undefined) {
      this.#cancelTimer();
      this.#cancelTimer = undefined;
      this.#startWriting();
    }
    await this.#writing;
  }

  #writeAfter(delayMs: number): void {
    this.#cancelTimer = this.#options.schedule(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#startWriting();
    });
  }

  /** One write at a time: they share a temporary file. */
  #startWriting(): void {
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const { path, write, now, log } = this.#options;
    const savedMs = now();
    try {
      await write(path, this.#content(savedMs));
      this.#savedMs = savedMs;
      if (this.#failing) {
        log.info('Saved the last good table again', { path });
      }
      this.#failing = false;
    } catch (error) {
      this.#failures += 1;
      if (!this.#failing) {
        log.warn(
          'Could not save the last good table; a restart without a control plane would start without it',
          {
            path,
            error: String(error),
          },
        );
      }
      this.#failing = true;
      this.changed();
    }
  }

  /** Throws where reading would refuse it. */
  #content(savedMs: number): string {
    const { collect, now, maxBytes = MAX_FILE_BYTES } = this.#options;
    const content = formatLastGood({ savedMs, types: collect() });
    this.#busyMs = now() - savedMs;
    const size = Buffer.byteLength(content);
    if (size > maxBytes) {
      throw new Error(`it would have ${size} bytes, and more than ${maxBytes} are not read`);
    }
    return content;
  }
}
