/** Counts the streams that each caller has open, so that one caller cannot have them all. */
export class PeerStreams {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  isFull(caller: string): boolean {
    return (this.#open.get(caller) ?? 0) >= this.#most;
  }

  /** False: this caller has as many as it may. */
  opened(caller: string): boolean {
    if (this.isFull(caller)) return false;
    this.#open.set(caller, (this.#open.get(caller) ?? 0) + 1);
    return true;
  }

  closed(caller: string): void {
    const open = (this.#open.get(caller) ?? 0) - 1;
    if (open > 0) this.#open.set(caller, open);
    else this.#open.delete(caller);
  }
}
