/** A connection starts with the first size and moves to the next when a read fills its buffer. */
const SIZES = [8 * 1024, 64 * 1024, 256 * 1024] as const;
const SMALLEST = SIZES[0];

/** What buffers above the smallest size may take together; past it, connections stay with what they have. */
const GROWN_BYTES = 64 * 1024 * 1024;

/** Free buffers of each size are kept up to this many bytes for the next connection. */
const IDLE_BYTES = 8 * 1024 * 1024;

/**
 * Read buffers for all connections of this process. Big ones make bulk transfers cheap and cost too much to
 * allocate for each connection, or to leave with each that is idle.
 */
export class BufferPool {
  readonly #idle = new Map<number, Uint8Array[]>(SIZES.map((size) => [size, []]));
  #grownBytes = 0;

  take(): Uint8Array {
    return this.#obtain(SMALLEST);
  }

  /** Trades the buffer for one of the next size; the same buffer where that is the last or memory is short. */
  grow(buffer: Uint8Array): Uint8Array {
    const size = SIZES.find((candidate) => candidate > buffer.length);
    if (size === undefined || this.#grownBytes + size > GROWN_BYTES) return buffer;
    this.release(buffer);
    this.#grownBytes += size;
    return this.#obtain(size);
  }

  /** Trades a buffer that has grown for one of the smallest size. */
  shrink(buffer: Uint8Array): Uint8Array {
    if (buffer.length === SMALLEST) return buffer;
    this.release(buffer);
    return this.take();
  }

  release(buffer: Uint8Array): void {
    const size = buffer.length;
    if (size > SMALLEST) this.#grownBytes -= size;
    const idle = this.#idle.get(size);
    if (idle !== undefined && idle.length * size < IDLE_BYTES) idle.push(buffer);
  }

  #obtain(size: number): Uint8Array {
    return this.#idle.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  }
}
