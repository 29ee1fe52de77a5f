import test from 'ava';
import { Backoff } from './backoff.ts';

test('delays double up to the bound, jittered within its upper half, and start over after a success', (t) => {
  const least = new Backoff({ initialMs: 100, maxMs: 1_000, random: () => 0 });
  t.deepEqual(
    Array.from({ length: 6 }, () => least.nextMs()),
    [50, 100, 200, 400, 500, 500],
  );
  least.reset();
  t.is(least.nextMs(), 50);

  const most = new Backoff({ initialMs: 100, maxMs: 1_000, random: () => 1 });
  t.deepEqual(
    Array.from({ length: 5 }, () => most.nextMs()),
    [100, 200, 400, 800, 1_000],
  );
});

test('a thousand failures do not overflow', (t) => {
  const backoff = new Backoff({ initialMs: 100, maxMs: 1_000, random: () => 0.5 });
  for (let failure = 0; failure < 1_000; failure += 1) backoff.nextMs();
  t.is(backoff.nextMs(), 750);
});
