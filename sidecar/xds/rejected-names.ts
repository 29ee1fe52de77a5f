/** Of more than this, only that there are more is remembered. */
const MOST_NAMES = 1000;

/** Resources of one type whose newest state was rejected: what is held of them, if anything, is not what they are. */
export class RejectedNames {
  readonly #names = new Set<string>();
  #areMore = false;
  #version = 0;

  /** Another number whenever anything of this has changed. */
  get version(): number {
    return this.#version;
  }

  /** Whether one of these names is among them, as far as can be told. */
  hasAny(isSought: (name: string) => boolean): boolean {
    return this.#areMore || this.#names.values().some(isSought);
  }

  add(name: string): void {
    if (this.#areMore || this.#names.has(name)) return;
    if (this.#names.size < MOST_NAMES) this.#names.add(name);
    else this.#areMore = true;
    this.#version++;
  }

  delete(name: string): void {
    if (this.#names.delete(name)) this.#version++;
  }

  deleteAll(isGone: (name: string) => boolean): void {
    for (const name of [...this.#names].filter(isGone)) this.delete(name);
  }

  clear(): void {
    if (this.#names.size === 0 && !this.#areMore) return;
    this.#names.clear();
    this.#areMore = false;
    this.#version++;
  }
}
