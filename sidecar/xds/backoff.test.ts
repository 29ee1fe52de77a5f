import test from 'ava';
import { reconnectDelayMs } from './backoff.ts';

const longest = (failures: number, addresses: number) => reconnectDelayMs(failures, addresses, 1);

test('the wait doubles from a second on, to ten', (t) => {
  t.deepEqual(
    [1, 2, 3, 4, 5, 6, 10_000].map((failures) => longest(failures, 1)),
    [1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000],
  );
});

test('it doubles once every address has had its turn', (t) => {
  t.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((failures) => longest(failures, 3)),
    [1_000, 1_000, 1_000, 2_000, 2_000, 2_000, 4_000],
  );
});

test('any part of it may be the wait: sidecars that lost one control plane do not meet at the next', (t) => {
  t.deepEqual(
    [0, 0.25, 0.5].map((random) => reconnectDelayMs(4, 1, random)),
    [0, 2_000, 4_000],
  );
});
