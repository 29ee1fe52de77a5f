/** Memory for one read, with a view of the part that the read filled. */
export class ReadBuffer {
  readonly memory: Uint8Array;
  #filled: Uint8Array;

  constructor(size: number) {
    this.memory = this.#filled = Buffer.allocUnsafeSlow(size);
  }

  get size(): number {
    return this.memory.length;
  }

  /** The first `length` bytes. Messages of one size share one view, and so leave no garbage. */
  first(length: number): Uint8Array {
    if (this.#filled.length !== length) this.#filled = new Uint8Array(this.memory.buffer, 0, length);
    return this.#filled;
  }
}
