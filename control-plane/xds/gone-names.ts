import { FieldCursor } from './field-cursor.ts';
import { keptBytes } from './kept-bytes.ts';
import { lengthPrefix } from './resource.ts';

/**
 * Names that a client holds and that do not exist here: they are sent once, as removed. Kept as the bytes in which
 * the client sent them, in chunks that each fit into one response, because a client can invent any number of them.
 */
export class GoneNames {
  readonly #chunks: Buffer[];
  #bytes: number;

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = [...chunks];
    this.#bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** What is left of them, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The names of the next response, each once, without those for which `isGone` does not hold any more. */
  take(isGone: (name: string) => boolean): string[] {
    const names = new Set<string>();
    while (names.size === 0 && this.#chunks.length > 0) {
      const chunk = this.#chunks.shift() as Buffer;
      this.#bytes -= chunk.length;
      const cursor = new FieldCursor(chunk);
      while (cursor.next()) {
        const name = chunk.toString('utf8', cursor.start, cursor.end);
        if (isGone(name)) names.add(name);
      }
    }
    return [...names];
  }
}

/** To share: there is nothing to take. */
export const NOTHING_GONE = new GoneNames([]);

/** Collects names as bytes, in chunks of about this size. */
export class NamePacker {
  readonly #chunkBytes: number;
  readonly #full: Buffer[] = [];
  #chunk = NO_BYTES;
  #used = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  add(source: Buffer, start: number, end: number): void {
    const length = end - start;
    const prefix = length < 128 ? undefined : lengthPrefix(NAME_FIELD, length);
    const needed = length + (prefix?.length ?? 2);
    if (this.#used + needed > this.#chunk.length) this.#nextChunk(needed);
    if (prefix === undefined) {
      this.#chunk[this.#used] = (NAME_FIELD << 3) | 2;
      this.#chunk[this.#used + 1] = length;
    } else {
      this.#chunk.set(prefix, this.#used);
    }
    source.copy(this.#chunk, this.#used + needed - length, start, end);
    this.#used += needed;
  }

  names(): GoneNames {
    this.#endChunk();
    return new GoneNames(this.#full);
  }

  #nextChunk(needed: number): void {
    this.#endChunk();
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(needed, this.#chunkBytes));
  }

  #endChunk(): void {
    if (this.#used > 0) this.#full.push(keptBytes([this.#chunk.subarray(0, this.#used)]));
    this.#chunk = NO_BYTES;
    this.#used = 0;
  }
}

const NAME_FIELD = 1;
const NO_BYTES = Buffer.alloc(0);
