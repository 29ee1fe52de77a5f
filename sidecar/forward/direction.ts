import { getSystemErrorName } from 'node:util';
import type { BufferPool } from './buffer-pool.ts';
import {
  type StreamReader,
  type StreamWriter,
  type TcpStream,
  WRITE_FINISHED,
  WRITE_PENDING,
} from './tcp.ts';

/** After this many reads in a row that would have fitted the smallest buffer, a grown one goes back. */
const SMALL_READS_BEFORE_SHRINKING = 16;
const SMALL_READ_BYTES = 4 * 1024;

/** Who hears how a direction fares: the connection it belongs to. */
export interface DirectionOwner {
  /** All bytes of the source have been passed on, and its end too. */
  directionEnded(direction: Direction): void;
  /** `at` is the stream on which it failed. */
  directionFailed(at: TcpStream, code: string): void;
}

/**
 * Copies one way from source to sink. At most one buffer is on its way: where a write does not finish at once,
 * nothing is read until it has, so a slow reader holds one buffer here and the rest stays with the sender.
 */
export class Direction implements StreamReader, StreamWriter {
  /** Bytes taken from the source so far. */
  bytes = 0;
  hasEnded = false;
  /** Set by every byte that moves; whoever watches for silence clears it. */
  hasMoved = true;
  readonly #source: TcpStream;
  readonly #sink: TcpStream;
  readonly #pool: BufferPool;
  readonly #owner: DirectionOwner;
  #buffer: Uint8Array;
  /** The part of the buffer last written: messages of one size need no new view, and so leave no garbage. */
  #view: Uint8Array;
  #smallReads = 0;

  constructor(source: TcpStream, sink: TcpStream, pool: BufferPool, owner: DirectionOwner) {
    this.#source = source;
    this.#sink = sink;
    this.#pool = pool;
    this.#owner = owner;
    this.#buffer = this.#view = pool.take();
    source.attach(this, this.#buffer);
  }

  start(): void {
    this.#source.startReading();
  }

  /** Only once both streams are closed: until then a write may still be reading the buffer. */
  release(): void {
    this.#pool.release(this.#buffer);
  }

  read(length: number): Uint8Array | undefined {
    this.bytes += length;
    this.hasMoved = true;
    if (this.#view.length !== length) this.#view = new Uint8Array(this.#buffer.buffer, 0, length);
    const written = this.#sink.write(this.#view, this);
    if (written === WRITE_FINISHED) return this.#adapt(length);
    if (written === WRITE_PENDING) this.#source.stopReading();
    else this.#owner.directionFailed(this.#sink, getSystemErrorName(written));
    return undefined;
  }

  readEnded(): void {
    this.hasEnded = true;
    this.#owner.directionEnded(this);
  }

  readFailed(code: string): void {
    this.#owner.directionFailed(this.#source, code);
  }

  writeFinished(): void {
    this.hasMoved = true;
    this.#source.startReading();
  }

  writeFailed(code: string): void {
    this.#owner.directionFailed(this.#sink, code);
  }

  /** The buffer for the next read, where it is to be another. */
  #adapt(length: number): Uint8Array | undefined {
    const buffer = this.#buffer;
    if (length === buffer.length) return this.#trade(this.#pool.grow(buffer));
    if (length > SMALL_READ_BYTES) this.#smallReads = 0;
    else if (++this.#smallReads % SMALL_READS_BEFORE_SHRINKING === 0)
      return this.#trade(this.#pool.shrink(buffer));
    return undefined;
  }

  #trade(buffer: Uint8Array): Uint8Array | undefined {
    if (buffer === this.#buffer) return undefined;
    this.#buffer = this.#view = buffer;
    return buffer;
  }
}
