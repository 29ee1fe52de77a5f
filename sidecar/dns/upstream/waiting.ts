import type { Asker } from '../asker.ts';

/** More than this wait for answers only where somebody floods us, or nobody answers. */
const MOST = 8_192;
/** Of one asker: a socket or a connection. Resolvers that keep one for all they ask have less under way. */
const MOST_OF_ONE = 1_024;
/** What their queries take together. */
const MOST_BYTES = 4 << 20;

/** How many wait for answers of servers, and whose they are. */
export class Waiting {
  readonly #bySource = new Map<Asker['source'], number>();
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#count >= MOST || this.#bytes >= MOST_BYTES;
  }

  /** Whether this one has had its share, however few others wait. */
  hasEnough({ source }: Asker): boolean {
    return (this.#bySource.get(source) ?? 0) >= MOST_OF_ONE;
  }

  add(asker: Asker): void {
    this.#count++;
    this.#bytes += bytesOf(asker);
    this.#bySource.set(asker.source, (this.#bySource.get(asker.source) ?? 0) + 1);
  }

  remove(asker: Asker): void {
    this.#count--;
    this.#bytes -= bytesOf(asker);
    const left = (this.#bySource.get(asker.source) ?? 0) - 1;
    if (left > 0) this.#bySource.set(asker.source, left);
    else this.#bySource.delete(asker.source);
  }
}

function bytesOf({ query }: Asker): number {
  return query.end - query.start;
}
