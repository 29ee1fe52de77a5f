import { getSystemErrorName } from 'node:util';
import { type BufferPool, SMALLEST_BUFFER } from '../net/buffer-pool.ts';
import type { ReadBuffer } from '../net/read-buffer.ts';
import {
  type StreamReader,
  type StreamWriter,
  type TcpStream,
  WRITE_FINISHED,
  WRITE_PENDING,
} from '../net/tcp.ts';
import type { Deferred, WriteCoalescer } from '../net/write-coalescer.ts';

/** After this many reads in a row that left a grown buffer nearly empty, it goes back. */
const SMALL_READS_BEFORE_SHRINKING = 16;
const SMALL_READ_BYTES = SMALLEST_BUFFER / 2;

/** Who hears how a direction fares: the connection it belongs to. */
export interface DirectionOwner {
  /** All bytes of the source have been passed on, and there will be no more. */
  directionEnded(direction: Direction): void;
  /** The source is gone. What came of it has been given to the sink. */
  sourceFailed(direction: Direction, code: string): void;
  /** The sink takes nothing more, and so nothing more is read. What it has sent itself may still be there. */
  sinkFailed(direction: Direction, code: string): void;
}

/** What the directions of all connections share. */
export interface CopyResources {
  readonly pool: BufferPool;
  readonly coalescer: WriteCoalescer;
}

/**
 * Copies one way from source to sink. Where a write does not finish at once nothing is read until it has, so
 * that for a slow reader one buffer is held here and the rest stays with the sender.
 */
export class Direction implements StreamReader, StreamWriter, Deferred {
  /** Bytes taken from the source so far. */
  bytes = 0;
  hasEnded = false;
  /** Set by every byte that moves; whoever watches for silence clears it. */
  hasMoved = true;
  readonly #source: TcpStream;
  readonly #sink: TcpStream;
  readonly #resources: CopyResources;
  readonly #owner: DirectionOwner;
  /** What is read into. */
  #buffer: ReadBuffer;
  /** What has been read and is to be written at the end of the turn. */
  #deferred: Uint8Array | undefined;
  /** Where the deferred bytes are. */
  #deferredBuffer: ReadBuffer | undefined;
  /** The bytes of a pending write: they must neither move nor change. */
  #pending: Uint8Array | undefined;
  #isReleased = false;
  #hasFailed = false;
  #smallReads = 0;

  constructor(source: TcpStream, sink: TcpStream, resources: CopyResources, owner: DirectionOwner) {
    this.#source = source;
    this.#sink = sink;
    this.#resources = resources;
    this.#owner = owner;
    this.#buffer = resources.pool.take();
    source.attach(this, this.#buffer.memory);
  }

  start(): void {
    this.#source.startReading();
  }

  /** Only once both streams are closed: until then a write may be reading the buffers. */
  release(): void {
    this.#isReleased = true;
    this.#deferred = this.#pending = undefined;
    this.#resources.pool.release(this.#buffer);
    this.#releaseDeferred();
  }

  /** For a connection that has gone quiet: a grown buffer is of more use to others. */
  giveBack(): void {
    const { size } = this.#buffer;
    if (size === SMALLEST_BUFFER || this.#pending !== undefined || this.#isReleased) return;
    this.#buffer = this.#resources.pool.shrink(this.#buffer);
    this.#source.useBuffer(this.#buffer.memory);
  }

  read(length: number): Uint8Array | undefined {
    this.bytes += length;
    this.hasMoved = true;
    const bytes = this.#buffer.first(length);
    if (this.#deferred !== undefined) return this.#writeBoth(this.#deferred, bytes);
    if (
      length < SMALLEST_BUFFER &&
      this.#buffer.size === SMALLEST_BUFFER &&
      this.#resources.coalescer.defer(this)
    ) {
      return this.#defer(bytes);
    }
    this.#write(bytes);
    return this.#pending === undefined && !this.#isReleased ? this.#adapt(length) : undefined;
  }

  readEnded(): void {
    this.flush();
    // With a write pending, reading goes on after it, and then meets the end again.
    if (this.#isReleased || this.#hasFailed || this.#pending !== undefined) return;
    this.hasEnded = true;
    this.#owner.directionEnded(this);
  }

  readFailed(code: string): void {
    this.flush();
    if (!this.#isReleased && !this.#hasFailed) this.#owner.sourceFailed(this, code);
  }

  flush(): void {
    const deferred = this.#deferred;
    if (deferred === undefined) return;
    this.#deferred = undefined;
    this.#write(deferred);
    if (this.#pending === undefined) this.#releaseDeferred();
  }

  writeFinished(): void {
    this.hasMoved = true;
    this.#pending = undefined;
    this.#releaseDeferred();
    this.#source.startReading();
  }

  writeFailed(code: string): void {
    this.#hasFailed = true;
    this.#pending = undefined;
    this.#source.stopReading();
    this.#owner.sinkFailed(this, code);
  }

  #write(bytes: Uint8Array): void {
    const written = this.#sink.write(bytes, this);
    if (written === WRITE_FINISHED) return;
    if (written === WRITE_PENDING) {
      this.#pending = bytes;
      this.#source.stopReading();
    } else {
      this.writeFailed(getSystemErrorName(written));
    }
  }

  /** The next read needs another buffer: a loop with very many ready connections reads twice in one turn. */
  #defer(bytes: Uint8Array): Uint8Array {
    this.#deferred = bytes;
    this.#deferredBuffer = this.#buffer;
    this.#buffer = this.#resources.pool.take();
    return this.#buffer.memory;
  }

  /** That second read in one turn: rare enough to be copied. */
  #writeBoth(deferred: Uint8Array, bytes: Uint8Array): undefined {
    this.#deferred = undefined;
    this.#write(Buffer.concat([deferred, bytes]));
    this.#releaseDeferred();
  }

  #releaseDeferred(): void {
    if (this.#deferredBuffer !== undefined) this.#resources.pool.release(this.#deferredBuffer);
    this.#deferredBuffer = undefined;
  }

  /** The memory for the next read, where it is to be another. */
  #adapt(length: number): Uint8Array | undefined {
    const { pool } = this.#resources;
    const { size } = this.#buffer;
    if (length === size) {
      this.#buffer = pool.grow(this.#buffer);
    } else if (length > SMALL_READ_BYTES || size === SMALLEST_BUFFER) {
      this.#smallReads = 0;
    } else if (++this.#smallReads === SMALL_READS_BEFORE_SHRINKING) {
      this.#smallReads = 0;
      this.#buffer = pool.shrink(this.#buffer);
    }
    return this.#buffer.size === size ? undefined : this.#buffer.memory;
  }
}
