export interface JsonBounds {
  /** Of arrays and objects in one another. Parsing takes longest where they are nested deep. */
  readonly depth: number;
  /** Of array items and object members, about: each takes time and memory, however short it is. */
  readonly values: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** By byte: how much deeper it leads, outside of texts. */
const DEPTH = new Int8Array(256);
/** By byte: how many values it begins, outside of texts. */
const VALUES = new Uint8Array(256);
/** By byte: whether it counts at all. */
const COUNTS = new Uint8Array(256);
for (const [characters, depth, values] of [
  ['[{', 1, 1],
  [']}', -1, 0],
  [',:', 0, 1],
  ['"\\', 0, 0],
] as const) {
  for (const byte of Buffer.from(characters)) {
    DEPTH[byte] = depth;
    VALUES[byte] = values;
    COUNTS[byte] = 1;
  }
}

/**
 * Counts what is in a JSON text while its bytes arrive, so that one that would cost too much is refused before it is
 * parsed, or even read. Of a text that is no JSON it sees at least as much as a parser does before it gives up.
 */
export class JsonScan {
  readonly #bounds: JsonBounds;
  #depth = 0;
  #values = 0;
  #isInText = false;
  /** Where in the next chunk to go on: past its first byte where this one ended with a backslash. */
  #next = 0;

  constructor(bounds: JsonBounds) {
    this.#bounds = bounds;
  }

  get values(): number {
    return this.#values;
  }

  /** What is wrong as of this chunk, as a phrase after "the body"; undefined: nothing yet. */
  push(chunk: Uint8Array): string | undefined {
    const deepest = this.#bounds.depth;
    let [at, depth, values, isInText] = [this.#next, this.#depth, this.#values, this.#isInText];
    for (; at < chunk.length && depth <= deepest; at += 1) {
      const byte = chunk[at] as number;
      if (COUNTS[byte] === 0) continue;
      if (byte === QUOTE) isInText = !isInText;
      else if (!isInText) {
        depth += DEPTH[byte] as number;
        values += VALUES[byte] as number;
      } else if (byte === BACKSLASH) at += 1;
    }
    this.#next = Math.max(0, at - chunk.length);
    this.#depth = depth;
    this.#values = values;
    this.#isInText = isInText;
    if (depth > deepest) return `is nested deeper than ${deepest} levels`;
    return values > this.#bounds.values ? `has more than ${this.#bounds.values} values` : undefined;
  }
}
