import { ReadBuffer } from './read-buffer.ts';

/** A connection starts with the first size and moves to the next when a read fills its buffer. */
const SIZES = [8 * 1024, 64 * 1024, 256 * 1024] as const;

/** The size that every connection can count on. */
export const SMALLEST_BUFFER = SIZES[0];

/** What buffers above the smallest size may take together; past it, connections stay with what they have. */
const GROWN_BYTES = 64 * 1024 * 1024;

/** Free buffers of each size are kept up to this many bytes for the next connection. */
const IDLE_BYTES = 8 * 1024 * 1024;

/**
 * Read buffers for all connections of this process. Big ones make bulk transfers cheap and cost too much to
 * allocate for each connection, or to leave with each that is idle.
 */
export class BufferPool {
  readonly #idle = new Map<number, ReadBuffer[]>(SIZES.map((size) => [size, []]));
  #grownBytes = 0;

  /** What buffers above the smallest size take that are in use. */
  get grownBytes(): number {
    return this.#grownBytes;
  }

  /** One of the smallest size. */
  take(): ReadBuffer {
    return this.#obtain(SMALLEST_BUFFER);
  }

  /** Trades the buffer for one of the next size; the same buffer where that is the last or memory is short. */
  grow(buffer: ReadBuffer): ReadBuffer {
    const size = SIZES.find((candidate) => candidate > buffer.size);
    if (size === undefined || this.#grownBytes + size > GROWN_BYTES) return buffer;
    this.release(buffer);
    this.#grownBytes += size;
    return this.#obtain(size);
  }

  /** Trades the buffer for one of the smallest size. */
  shrink(buffer: ReadBuffer): ReadBuffer {
    this.release(buffer);
    return this.take();
  }

  release(buffer: ReadBuffer): void {
    const { size } = buffer;
    if (size > SMALLEST_BUFFER) this.#grownBytes -= size;
    const idle = this.#idle.get(size);
    if (idle !== undefined && idle.length * size < IDLE_BYTES) idle.push(buffer);
  }

  #obtain(size: number): ReadBuffer {
    return this.#idle.get(size)?.pop() ?? new ReadBuffer(size);
  }
}
