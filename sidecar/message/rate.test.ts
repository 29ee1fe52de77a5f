import test from 'ava';
import { Rate } from './rate.ts';

function taken(rate: Rate, nowMs: number): number {
  let count = 0;
  for (; rate.isDue(nowMs); count += 1) rate.take();
  return count;
}

test('grants so many a second, and no more than that at once', (t) => {
  const rate = new Rate(10, 1_000);
  t.is(taken(rate, 1_000), 10);
  t.is(taken(rate, 1_099), 0);
  t.is(taken(rate, 1_101), 1);
  t.is(taken(rate, 60_000), 10);
});
