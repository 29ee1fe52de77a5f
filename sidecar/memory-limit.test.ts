import test from 'ava';
import { memoryLimit, memoryLimitOf } from './memory-limit.ts';

test('the limit of the control group, where there is one', (t) => {
  t.is(memoryLimitOf(256, 8_000), 256);
  t.is(memoryLimitOf(0, 8_000), 8_000);
  t.is(memoryLimitOf(2 ** 64, 8_000), 8_000);
  t.true(memoryLimit() > 0);
});
