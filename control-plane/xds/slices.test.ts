import test from 'ava';
import { until } from '../../test/until.ts';
import { Slices } from './slices.ts';
import type { Work } from './slices.ts';

test('given several works, each gets its turn and ends', async (t) => {
  const slices = new Slices();
  const done: string[] = [];
  function* work(name: string, steps: number): Work {
    for (let step = 0; step < steps; step += 1) yield;
    done.push(name);
  }
  slices.add(work('long', 100));
  slices.add(work('short', 1));
  await until(
    'both are done',
    () => done.length,
    (count) => count === 2,
  );
  t.deepEqual(done, ['short', 'long']);
});
