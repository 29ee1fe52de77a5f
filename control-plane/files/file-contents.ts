import { join } from 'node:path';
import type { Logger } from '../../process/log.ts';
import { identify } from '../mesh/object.ts';
import type { Rejection } from '../mesh/rejection.ts';
import type { MeshEvent } from '../mesh/state.ts';
import type { Entry } from './catalog.ts';
import { Catalog } from './catalog.ts';
import { DocumentReader } from './documents.ts';
import { createParser } from './parser.ts';

interface FileState {
  readonly reader: DocumentReader;
  rejections: readonly Rejection[];
  skipped: ReadonlySet<string>;
}

/**
 * What the files say, of each its last good state: a file, or a document of one, that cannot be read takes
 * nothing away. Files are told by their paths below the directory; messages name them with it.
 */
export class FileContents {
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #catalog = new Catalog();
  readonly #files = new Map<string, FileState>();
  readonly #closing = new AbortController();
  readonly #parse = createParser(this.#closing.signal);

  constructor(directory: string, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  /** The file reads so now. `isFinal`: what is missing from it is not about to be written. */
  async set(path: string, text: string, isFinal: boolean): Promise<void> {
    const state = this.#state(path);
    const rejections: Rejection[] = [];
    const entries: Entry[] = [];
    const skipped = new Set<string>();
    const reject = (place: string, problems: readonly string[]): void => {
      rejections.push({ object: this.#label(path), origin: `${this.#onDisk(path)}:${place}`, problems });
    };
    const { objects, problems } = await state.reader.read(text);
    for (const { line, column, problem } of problems) {
      reject(`${line}:${column}`, [`${problem}; until it is mended, what stood here before stays`]);
    }
    for (const { object, line } of objects) {
      const origin = `${this.#onDisk(path)}:${line}`;
      const identified = identify(object);
      if (identified.outcome === 'identified') {
        entries.push({ identity: identified.identity, object, origin });
      } else if (identified.outcome === 'unidentified') reject(String(line), identified.problems);
      else skipped.add(identified.reason);
    }
    // What is missing from a file that is partly illegible may be in the illegible part.
    const ifMissing = rejections.length > 0 ? 'stays' : isFinal ? 'goes' : 'gives-way';
    this.#catalog.setFile(path, entries, ifMissing);
    for (const reason of skipped) {
      if (!state.skipped.has(reason)) this.#logger.info('Skipped', { file: this.#onDisk(path), reason });
    }
    Object.assign(state, { rejections, skipped });
  }

  /** The file is there and cannot be read. */
  fail(path: string, problem: string): void {
    const problems = [`${problem}; what it said before stays`];
    this.#state(path).rejections = [{ object: this.#label(path), origin: undefined, problems }];
  }

  remove(path: string): void {
    this.#catalog.removeFile(path);
    this.#files.delete(path);
  }

  /** Leaves what is being read; nothing of it may be used after that. */
  close(): void {
    this.#closing.abort();
  }

  /** What changed since the last call. */
  takeEvents(): readonly MeshEvent[] {
    return this.#catalog.takeEvents();
  }

  /** Files, and documents of them, of which nobody can say which objects they are or would be. */
  get illegible(): readonly Rejection[] {
    return [...this.#files.values()].flatMap(({ rejections }) => rejections);
  }

  /** Objects that are in the files more than once. */
  get duplicates(): readonly Rejection[] {
    return this.#catalog.duplicates;
  }

  #state(path: string): FileState {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const state = { reader: new DocumentReader(this.#parse), rejections: [], skipped: new Set<string>() };
    this.#files.set(path, state);
    return state;
  }

  #label(path: string): string {
    return `File ${this.#onDisk(path)}`;
  }

  #onDisk(path: string): string {
    return join(this.#directory, path);
  }
}
