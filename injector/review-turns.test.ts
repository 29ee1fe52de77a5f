import test from 'ava';
import { ReviewTurns } from './review-turns.ts';

const LONG = 4 * 1024 ** 2;

test('given one address with many long reviews, runs those of another one between them', async (t) => {
  const turns = new ReviewTurns();
  const order: string[] = [];
  const take = (address: string, cost: number): Promise<unknown> =>
    turns.take(address, cost, () => order.push(address));
  const all = [take('first', LONG)];
  for (let count = 0; count < 10; count += 1) all.push(take('attacker', LONG));
  for (let count = 0; count < 10; count += 1) all.push(take('API server', 8_000));
  await Promise.all(all);
  t.deepEqual(order, [
    'first',
    'attacker',
    ...Array.from({ length: 10 }, () => 'API server'),
    ...Array.from({ length: 9 }, () => 'attacker'),
  ]);
});

test('given an address that sends its next review as soon as the last one ran, runs those of another one too', async (t) => {
  const turns = new ReviewTurns();
  const order: string[] = [];
  const sendNext = (): void => {
    order.push('attacker');
    if (order.length < 100) queueMicrotask(() => void turns.take('attacker', 300_000, sendNext));
  };
  void turns.take('attacker', 300_000, sendNext);
  void turns.take('attacker', 300_000, sendNext);
  await Promise.all(
    Array.from({ length: 20 }, () => turns.take('API server', 10_000, () => order.push('API server'))),
  );
  t.true(order.filter((address) => address === 'attacker').length < 10, order.join(', '));
});

test('given more work than fits into a turn, lets the event loop go on between two long reviews', async (t) => {
  const turns = new ReviewTurns();
  const order: string[] = [];
  const all = [1, 2, 3].map((number) =>
    turns.take('any', LONG, () => {
      order.push(`review ${number}`);
      setImmediate(() => order.push(`turn after ${number}`));
    }),
  );
  await Promise.all(all);
  t.true(order.indexOf('turn after 1') < order.indexOf('review 3'), order.join(', '));
});

test('given ordinary reviews, runs each at once', async (t) => {
  const turns = new ReviewTurns();
  let ran = 0;
  const all = [1, 2, 3].map(() => turns.take('any', 8_000, () => (ran += 1)));
  t.is(ran, 3);
  t.deepEqual(await Promise.all(all), [1, 2, 3]);
});

test('given a review that fails, rejects it alone', async (t) => {
  const turns = new ReviewTurns();
  const all = [1, 2, 3].map((number) =>
    turns.take('any', LONG, () => {
      if (number === 2) throw new Error('there is no pod');
      return number;
    }),
  );
  t.is(await all[0], 1);
  await t.throwsAsync(all[1]!, { message: 'there is no pod' });
  t.is(await all[2], 3);
});
