/** So many pages in a row have to come before larger ones are asked for again. */
const STEADY_PAGES = 8;

/** How many objects to ask for at once: half as many after an answer that was too much, and by and by more again. */
export class PageSize {
  readonly #most: number;
  #current: number;
  #inARow = 0;

  constructor(most: number) {
    this.#most = most;
    this.#current = most;
  }

  get current(): number {
    return this.#current;
  }

  came(): void {
    this.#inARow += 1;
    if (this.#inARow < STEADY_PAGES) return;
    this.#inARow = 0;
    this.#current = Math.min(this.#most, this.#current * 2);
  }

  /** False: it cannot be less. */
  wasTooMuch(): boolean {
    this.#inARow = 0;
    if (this.#current <= 1) return false;
    this.#current = Math.floor(this.#current / 2);
    return true;
  }
}
