import type { StreamReader, TcpStream } from '../net/tcp.ts';

/** More than the kernels of both sides hold of what was sent ahead. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * A connection on which all is said: sends a FIN, and reads on to nowhere until the other side has closed as well.
 * Bytes that nobody reads would turn the FIN into a RST, and a RST takes the last replies from who has not read them.
 */
export class Lingering implements StreamReader {
  readonly #stream: TcpStream;
  readonly #ended: (lingering: Lingering) => void;
  readonly #sinceMs = performance.now();
  #bytes = 0;

  /** @param buffer what is read into it means nothing */
  constructor(stream: TcpStream, buffer: Uint8Array, ended: (lingering: Lingering) => void) {
    this.#stream = stream;
    this.#ended = ended;
    stream.attach(this, buffer);
    stream.shutdown();
    stream.startReading();
  }

  read(length: number): undefined {
    this.#bytes += length;
    if (this.#bytes > MOST_BYTES) this.close();
  }

  readEnded(): void {
    this.close();
  }

  readFailed(): void {
    this.close();
  }

  /** Called now and then. @param limitMs how long the other side may take */
  tick(nowMs: number, limitMs: number): void {
    if (nowMs - this.#sinceMs >= limitMs) this.close();
  }

  close(): void {
    this.#stream.close();
    this.#ended(this);
  }
}
