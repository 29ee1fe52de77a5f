/** How much a control plane can make a sidecar hold. */
export interface Ceiling {
  readonly resources: number;
  /** Of all their serialised contents, and `OVERHEAD_BYTES` for each. */
  readonly bytes: number;
}

/** Several times the largest mesh that we know how to serve. */
const MOST: Ceiling = { resources: 100_000, bytes: 256 * 1024 * 1024 };

/** What a resource takes by being one, however small: a kilobyte once decoded, which is what so many bytes come to. */
export const OVERHEAD_BYTES = 128;

/**
 * Decoded and in the table, resources take eight times their bytes on the wire (measured with Services of 1 to
 * 20,000 ports). So they get a third of the memory; another one goes to saving them, the rest to all else.
 */
const PARTS_OF_MEMORY = 24;

/** What fits into so many bytes of memory. */
export function ceilingWithin(memoryBytes: number): Ceiling {
  return { ...MOST, bytes: Math.min(MOST.bytes, Math.floor(memoryBytes / PARTS_OF_MEMORY)) };
}
