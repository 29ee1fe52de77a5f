/** Two 32-bit words, chosen at random and told to nobody. */
export type HashKey = readonly [number, number];

/**
 * HalfSipHash-1-3 over the UTF-16 code units of a text, two to a word: 32 bits that nobody can make equal who does
 * not know the key. A seed is not enough where others choose the texts: for FNV and Murmur there are texts whose
 * hashes are equal whatever the seed. https://github.com/veorq/SipHash
 */
export function keyedHash([k0, k1]: HashKey, text: string): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  const { length } = text;
  // The words of the text, then one that ends it and has its length, then the three rounds that finish.
  const words = (length >> 1) + 1;
  for (let round = 0; round < words + 3; round += 1) {
    const word = round < words ? wordAt(text, round << 1) : 0;
    if (round === words) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}

/** The last word has what is left of the text, at most one code unit, and the text's length in bytes above it. */
function wordAt(text: string, at: number): number {
  const left = text.length - at;
  if (left >= 2) return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16);
  return (left === 1 ? text.charCodeAt(at) : 0) | (text.length << 25);
}
