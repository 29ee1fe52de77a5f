import test from 'ava';
import { keyedHash } from './keyed-hash.ts';
import { emptyMap } from './persistent-map.ts';

/** What needs no key can be computed beforehand, and so it was here. */
function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** The hash of a name of twelve such blocks is the same whichever of two each of them is. */
const BLOCKS = [
  '003pwu 00a5fa',
  '004uzx 00f2ad',
  '0035zx 00apcd',
  '0053zx 00cpad',
  '0035zx 00apcd',
  '0053zx 00cpad',
  '0035zx 00apcd',
  '0053zx 00cpad',
  '0035zx 00apcd',
  '0053zx 00cpad',
  '0035zx 00apcd',
  '0053zx 00cpad',
].map((pair) => pair.split(' '));

/** Names that all have one FNV-1a hash. */
const COLLIDING = BLOCKS.reduce(
  (names, blocks) => names.flatMap((name) => blocks.map((block) => name + block)),
  [''],
);

test('names made to have one hash have as many as others, whatever the key', (t) => {
  t.is(new Set(COLLIDING).size, 4096);
  t.is(new Set(COLLIDING.map(fnv)).size, 1);
  for (const key of [
    [0, 0],
    [1, 0],
    [0x5eed, -1],
  ] as const) {
    t.true(new Set(COLLIDING.map((name) => keyedHash(key, name))).size > 4090);
  }
});

test('every bit of the key counts, and the order and number of characters', (t) => {
  const hashes = [
    ...Array.from({ length: 32 }, (_, bit) => keyedHash([1 << bit, 0], 'demo/hello')),
    ...Array.from({ length: 32 }, (_, bit) => keyedHash([0, 1 << bit], 'demo/hello')),
    ...['', 'a', 'aa', 'ab', 'ba', 'aab', '\0', '\0\0', '\0\0\0'].map((text) => keyedHash([0, 0], text)),
  ];
  t.is(new Set(hashes).size, hashes.length);
});

test('spreads the hashes of names in a row evenly over their lowest and highest bits', (t) => {
  const low = Array.from({ length: 16 }, () => 0);
  const high = Array.from({ length: 16 }, () => 0);
  for (let n = 0; n < 16_000; n += 1) {
    const hash = keyedHash([7, 8], `demo/service-${n}`);
    low[hash & 15] = (low[hash & 15] ?? 0) + 1;
    high[hash >>> 28] = (high[hash >>> 28] ?? 0) + 1;
  }
  for (const count of [...low, ...high]) t.true(count > 800 && count < 1200, `${count}`);
});

test('a map holds such names as it holds others', (t) => {
  const map = COLLIDING.reduce((into, name, at) => into.set(name, at), emptyMap<number>());
  t.is(map.size, COLLIDING.length);
  COLLIDING.forEach((name, at) => {
    if (map.get(name) !== at) t.fail(name);
  });
});
