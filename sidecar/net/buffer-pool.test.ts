import test from 'ava';
import { BufferPool } from './buffer-pool.ts';

const KIB = 1024;

test('a buffer grows step by step, and shrinks in one', (t) => {
  const pool = new BufferPool();
  let buffer = pool.take();
  const lengths = [buffer.size];
  for (let step = 0; step < 3; step++) lengths.push((buffer = pool.grow(buffer)).size);
  t.deepEqual(lengths, [8 * KIB, 64 * KIB, 256 * KIB, 256 * KIB]);
  t.is(pool.shrink(buffer).size, 8 * KIB);
});

test('a released buffer is used again, by one taker', (t) => {
  const pool = new BufferPool();
  const buffer = pool.take();
  pool.release(buffer);
  t.is(pool.take(), buffer);
  t.not(pool.take(), buffer);
});

test('all grown buffers together stay within their limit, and what is released may be had again', (t) => {
  const pool = new BufferPool();
  const buffers = Array.from({ length: 1_000 }, () => pool.grow(pool.grow(pool.take())));
  const grown = buffers.filter((buffer) => buffer.size > 8 * KIB);
  const bytes = grown.reduce((sum, buffer) => sum + buffer.size, 0);
  t.true(bytes <= 64 * KIB * KIB && bytes > 60 * KIB * KIB, `${bytes} bytes`);
  t.is(buffers.at(-1)?.size, 8 * KIB);
  for (const buffer of grown) pool.release(buffer);
  t.is(pool.grow(pool.take()).size, 64 * KIB);
});
