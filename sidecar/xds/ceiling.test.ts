import test from 'ava';
import { ceilingWithin } from './ceiling.ts';

const MIB = 1024 * 1024;

test('a small part of the memory, and never more than the largest mesh needs', (t) => {
  t.is(ceilingWithin(240 * MIB).bytes, 10 * MIB);
  t.deepEqual(ceilingWithin(1024 ** 4), { resources: 100_000, bytes: 256 * MIB });
});
