import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from '../../process/log.ts';
import type { Identified } from '../mesh/object.ts';
import { identify } from '../mesh/object.ts';
import type { Rejection } from '../mesh/rejection.ts';
import type { MeshEvent } from '../mesh/state.ts';
import type { Entry } from './catalog.ts';
import { Catalog } from './catalog.ts';
import type { DocumentsRead } from './parse-documents.ts';

/** An object as it was last built from its JSON. */
interface Built {
  readonly object: unknown;
  readonly identified: Identified;
}

interface FileState {
  digest: string;
  /** By its JSON: what stays the same is not built, and not announced, again. */
  built: ReadonlyMap<string, Built>;
  bytes: number;
  rejections: readonly Rejection[];
  skipped: ReadonlySet<string>;
  /** Whether all of it could be read at least once. */
  wasWhole: boolean;
}

export interface ContentsOptions {
  readonly directory: string;
  readonly logger: Logger;
  /** Of the JSON of all files together. */
  readonly mostBytesTogether: number;
}

export interface FileText {
  readonly digest: string;
  /** Whether what is missing from it is not about to be written. */
  readonly isFinal: boolean;
  readonly signal: AbortSignal;
}

/** So much JSON is built before the event loop has its turn. */
const BUILT_AT_ONCE = 64 * 1024;
/** One broken file may have very many copies. */
const MOST_DUPLICATES = 100;

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/**
 * What the files say, with the last good state of each: a file, or a document of one, that cannot be read takes
 * nothing away. Files are named by their paths below the directory; messages name them with it.
 */
export class FileContents {
  readonly #options: ContentsOptions;
  readonly #catalog = new Catalog();
  readonly #files = new Map<string, FileState>();
  #bytes = 0;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  /** Whether the file was set from this text; if so, and it is final, what the text lacks is gone. */
  isUnchanged(path: string, { digest, isFinal }: Omit<FileText, 'signal'>): boolean {
    const state = this.#files.get(path);
    if (state?.digest !== digest) return false;
    if (isFinal && state.rejections.length === 0) this.#catalog.dropKept(path);
    return true;
  }

  /**
   * The file reads so now; has no effect once the signal says that there is a newer version. False: there is no room
   * for it beside the other files, and there may be later.
   */
  async set(path: string, read: DocumentsRead, text: FileText): Promise<boolean> {
    const state = this.#state(path);
    const more = read.objects.length - state.bytes;
    if (this.#bytes + more > this.#options.mostBytesTogether) {
      this.fail(
        path,
        `is too much: together the files have more than ${this.#options.mostBytesTogether} bytes of JSON; make the directory smaller`,
      );
      return false;
    }
    // Other files are set meanwhile, and see that this room is taken.
    this.#bytes += more;
    const draft = await this.#drafted(read.objects, new Draft(state.built, this.#onDisk(path)));
    if (text.signal.aborted) this.#bytes -= more;
    else this.#commit(path, { draft, read, text });
    return true;
  }

  async #drafted(objects: string, draft: Draft): Promise<Draft> {
    let built = 0;
    for (let at = 0; at < objects.length;) {
      const end = objects.indexOf('\n', at);
      draft.add(objects.slice(at, end));
      built += end - at;
      at = end + 1;
      if (built < BUILT_AT_ONCE) continue;
      built = 0;
      await setImmediate();
    }
    return draft;
  }

  #commit(path: string, { draft, read, text }: { draft: Draft; read: DocumentsRead; text: FileText }): void {
    const state = this.#state(path);
    for (const { line, column, problem } of read.problems) {
      draft.reject(`${line}:${column}`, [`${problem}; until it is mended, what stood here before stays`]);
    }
    const { entries, rejections, skipped } = draft;
    this.#catalog.setFile(path, entries, rejections.length > 0 || !text.isFinal);
    for (const reason of skipped) {
      if (!state.skipped.has(reason))
        this.#options.logger.info('Skipped', { file: this.#onDisk(path), reason });
    }
    const wasWhole = state.wasWhole || rejections.length === 0;
    Object.assign(state, {
      digest: text.digest,
      built: draft.built,
      bytes: read.objects.length,
      rejections,
      skipped,
      wasWhole,
    });
  }

  /** The file is there and cannot be read. */
  fail(path: string, problem: string): void {
    const rejections = [
      { object: this.#label(path), origin: undefined, problems: [`${problem}; what it said before stays`] },
    ];
    Object.assign(this.#state(path), { digest: '', rejections });
  }

  remove(path: string): void {
    this.#catalog.removeFile(path);
    this.#bytes -= this.#files.get(path)?.bytes ?? 0;
    this.#files.delete(path);
  }

  /** What changed since the last call. */
  takeEvents(): readonly MeshEvent[] {
    return this.#catalog.takeEvents();
  }

  /** Whether all of the file could be read at least once, so that a last good state stands in for it. */
  wasWhole(path: string): boolean {
    return this.#files.get(path)?.wasWhole === true;
  }

  /** Files, and documents in them, that cannot be read. */
  get illegible(): readonly Rejection[] {
    return [...this.#files.values()].flatMap(({ rejections }) => rejections);
  }

  /** Objects that are in the files more than once. */
  get duplicates(): readonly Rejection[] {
    return this.#catalog.duplicates.slice(0, MOST_DUPLICATES);
  }

  #state(path: string): FileState {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const state = {
      digest: '',
      built: new Map(),
      bytes: 0,
      rejections: [],
      skipped: new Set<string>(),
      wasWhole: false,
    };
    this.#files.set(path, state);
    return state;
  }

  #label(path: string): string {
    return `File ${this.#onDisk(path)}`;
  }

  #onDisk(path: string): string {
    return join(this.#options.directory, path);
  }
}

/** A new version of a file, while it is built. */
class Draft {
  readonly built = new Map<string, Built>();
  readonly entries: Entry[] = [];
  readonly rejections: Rejection[] = [];
  readonly skipped = new Set<string>();
  readonly #before: ReadonlyMap<string, Built>;
  readonly #file: string;

  constructor(before: ReadonlyMap<string, Built>, file: string) {
    this.#before = before;
    this.#file = file;
  }

  /** A line of `DocumentsRead.objects`. */
  add(located: string): void {
    const space = located.indexOf(' ');
    const [line, json] = [located.slice(0, space), located.slice(space + 1)];
    const built = this.built.get(json) ?? this.#before.get(json) ?? build(json);
    this.built.set(json, built);
    const { object, identified } = built;
    if (identified.outcome === 'unidentified') this.reject(line, identified.problems);
    else if (identified.outcome === 'skipped') {
      if (this.skipped.size < MOST_SKIPPED) this.skipped.add(identified.reason);
    } else this.entries.push({ identity: identified.identity, object, origin: `${this.#file}:${line}` });
  }

  reject(place: string, problems: readonly string[]): void {
    if (this.rejections.length >= MOST_REJECTIONS) return;
    this.rejections.push({ object: `File ${this.#file}`, origin: `${this.#file}:${place}`, problems });
  }
}

const MOST_REJECTIONS = 20;
/** Of reasons in the log. */
const MOST_SKIPPED = 20;

function build(json: string): Built {
  const object: unknown = JSON.parse(json);
  return { object, identified: identify(object) };
}
