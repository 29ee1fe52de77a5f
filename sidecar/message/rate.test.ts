import test from 'ava';
import { Rate } from './rate.ts';

function taken(rate: Rate, nowMs: number): number {
  let count = 0;
  for (; rate.dueInMs(nowMs) === 0; count += 1) rate.take();
  return count;
}

test('grants so many a second, and no more than that, a hundred or a hundredth at once', (t) => {
  const rate = new Rate(10, 1_000);
  t.is(taken(rate, 1_000), 10);
  t.is(taken(rate, 1_099), 0);
  t.is(taken(rate, 1_101), 1);
  t.is(taken(rate, 60_000), 10);
  for (const perSecond of [1_000, 10_000]) t.is(taken(new Rate(perSecond, 0), 0), 100);
  t.is(taken(new Rate(1_000_000, 0), 0), 10_000);
});

test('says how long it takes until the next', (t) => {
  const rate = new Rate(10, 0);
  taken(rate, 0);
  t.is(rate.dueInMs(0), 100);
  t.is(rate.dueInMs(75), 25);
  t.is(rate.dueInMs(100), 0);
});
