const NEWLINE = 0x0a;
const SMALLEST = 1024;
const EMPTY = Buffer.alloc(0);

/** What `next` answers where a line is longer than allowed: the rest of it is passed over. */
export const TOO_LONG = Symbol('too long');

/**
 * Cuts a stream of bytes into lines. What was pushed is used until it has been taken: push again once `next` has
 * answered undefined. Holds one unfinished line of at most the longest, and what was last pushed and kept.
 */
export class LineSplitter {
  readonly #longest: number;
  /** Pushed and not looked at. */
  #rest: Buffer = EMPTY;
  /** Held for it, where that is a copy: as long as any of it is left, all of it. */
  #keptBytes = 0;
  /** The beginning of a line, in the first bytes. */
  #begun: Buffer = EMPTY;
  #begunLength = 0;
  #isSkipping = false;

  constructor(longest: number) {
    this.#longest = longest;
  }

  /** Whether a line has begun and not ended. */
  get isWithinLine(): boolean {
    return this.#begunLength > 0;
  }

  /** Held for the line that has begun. */
  get begunBytes(): number {
    return this.#begun.length;
  }

  get heldBytes(): number {
    return this.begunBytes + this.#keptBytes;
  }

  /** @param bytes stay as they are until `next` has answered undefined, or `keep` was called */
  push(bytes: Uint8Array): void {
    this.#rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Copies what was pushed and not taken, so that its memory may be used again. Called once for each push. */
  keep(): void {
    if (this.#rest.length === 0) return;
    // Not from the pool: a short line that waits would hold on to much that is not counted.
    const copy = Buffer.allocUnsafeSlow(this.#rest.length);
    copy.set(this.#rest);
    this.#rest = copy;
    this.#keptBytes = copy.length;
  }

  /** The next line as text, without its end; undefined where there is no whole one. */
  next(): string | typeof TOO_LONG | undefined {
    for (;;) {
      const end = this.#rest.indexOf(NEWLINE);
      if (end === -1) return this.#begin();
      const piece = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end + 1);
      if (this.#rest.length === 0) this.#forget();
      if (this.#isSkipping) {
        this.#isSkipping = false;
      } else if (this.#begunLength + piece.length > this.#longest) {
        this.#drop();
        return TOO_LONG;
      } else {
        return this.#finish(piece);
      }
    }
  }

  /** Passes over the line that has begun: what is left of it is none. */
  skip(): void {
    if (!this.isWithinLine) return;
    this.#drop();
    this.#isSkipping = true;
  }

  /** Drops all that was pushed. */
  clear(): void {
    this.#forget();
    this.#drop();
  }

  /** At the end of the stream: what came after the last end of a line. */
  last(): string | undefined {
    return this.isWithinLine ? this.#finish(EMPTY) : undefined;
  }

  #begin(): typeof TOO_LONG | undefined {
    const piece = this.#rest;
    this.#forget();
    if (this.#isSkipping || piece.length === 0) return undefined;
    if (this.#begunLength + piece.length > this.#longest) {
      this.#drop();
      this.#isSkipping = true;
      return TOO_LONG;
    }
    this.#append(piece);
    return undefined;
  }

  /** Into memory that doubles, so that a line that comes byte by byte costs no more than another. */
  #append(piece: Buffer): void {
    const length = this.#begunLength + piece.length;
    if (length > this.#begun.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.max(SMALLEST, length, Math.min(this.#longest, 2 * this.#begun.length)),
      );
      larger.set(this.#begun.subarray(0, this.#begunLength));
      this.#begun = larger;
    }
    this.#begun.set(piece, this.#begunLength);
    this.#begunLength = length;
  }

  #finish(piece: Buffer): string {
    if (this.#begunLength > 0) this.#append(piece);
    const line = this.#begunLength > 0 ? this.#begun.subarray(0, this.#begunLength) : piece;
    const text = textOf(line);
    this.#drop();
    return text;
  }

  #forget(): void {
    this.#rest = EMPTY;
    this.#keptBytes = 0;
  }

  #drop(): void {
    this.#begun = EMPTY;
    this.#begunLength = 0;
  }
}

function textOf(line: Buffer): string {
  const text = line.toString('utf8');
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
