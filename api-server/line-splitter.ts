import { GarbledError } from './api-server.ts';

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines of UTF-8. Pure; a line may come in many pieces, and a piece may hold many lines. */
export class LineSplitter {
  readonly #mostBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** The lines that end in this piece, without empty ones. Throws a GarbledError where a line is longer than allowed. */
  push(bytes: Buffer): readonly string[] {
    const lines: string[] = [];
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, begin)) {
      this.#keep(bytes.subarray(begin, end));
      if (this.#length > 0) lines.push(this.#take());
      begin = end + 1;
    }
    if (begin < bytes.length) this.#keep(bytes.subarray(begin));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > this.#mostBytes) {
      throw new GarbledError(`a line is longer than ${this.#mostBytes} bytes`);
    }
    this.#pieces.push(piece);
  }

  #take(): string {
    const line = Buffer.concat(this.#pieces, this.#length).toString('utf8');
    this.#pieces = [];
    this.#length = 0;
    return line;
  }
}
