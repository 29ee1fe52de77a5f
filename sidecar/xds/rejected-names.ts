/** Of more than this, only that there are more is remembered. */
const MOST_NAMES = 1000;

/** Resources of one type whose newest state was rejected: what is held of them, if anything, is not what they are. */
export class RejectedNames {
  /** Whether it was on the present stream. */
  readonly #names = new Map<string, boolean>();
  #areMore: 'no' | 'earlier' | 'now' = 'no';
  #version = 0;

  /** Another number whenever anything of this has changed. */
  get version(): number {
    return this.#version;
  }

  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  /** Whether more were rejected than `names` has room for. */
  get hasOthers(): boolean {
    return this.#areMore !== 'no';
  }

  add(name: string): void {
    if (this.#names.has(name) || this.#names.size < MOST_NAMES) this.#names.set(name, true);
    else this.#areMore = 'now';
    this.#version++;
  }

  delete(name: string): void {
    if (this.#names.delete(name)) this.#version++;
  }

  deleteAll(isGone: (name: string) => boolean): void {
    for (const name of [...this.#names.keys()].filter(isGone)) this.delete(name);
  }

  beginStream(): void {
    for (const name of this.#names.keys()) this.#names.set(name, false);
    if (this.#areMore === 'now') this.#areMore = 'earlier';
  }

  /** What was rejected on earlier streams only. */
  deleteEarlier(): void {
    this.deleteAll((name) => this.#names.get(name) === false);
    if (this.#areMore !== 'earlier') return;
    this.#areMore = 'no';
    this.#version++;
  }
}
