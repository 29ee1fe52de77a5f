import test from 'ava';
import { ServicesWait } from './services-wait.ts';

const LIMIT_MS = 2_000;

function setUp() {
  const timers = new Set<() => void>();
  const wait = new ServicesWait((delayMs, run) => {
    if (delayMs !== LIMIT_MS) throw new Error(`A timer of ${delayMs} ms was started.`);
    timers.add(run);
    return () => void timers.delete(run);
  }, LIMIT_MS);
  const timeIsOver = (): void => {
    for (const run of timers) run();
  };
  return { wait, timers, timeIsOver };
}

async function isOver(waiting: Promise<void>): Promise<boolean> {
  return Promise.race([
    waiting.then(() => true),
    new Promise<false>((resolve) => setImmediate(resolve, false)),
  ]);
}

test('one wait and one timer for all who join, and the next for those who come after its end', async (t) => {
  const { wait, timers } = setUp();
  const all = Array.from({ length: 100 }, async () => wait.join());
  t.is(timers.size, 1);
  t.false(await isOver(all[99]!));
  wait.end();
  await Promise.all(all);
  t.is(timers.size, 0);
  t.false(await isOver(wait.join()));
  wait.end();
});

test('once it has taken too long nobody waits, until somebody answers', async (t) => {
  const { wait, timers, timeIsOver } = setUp();
  const waiting = wait.join();
  timeIsOver();
  await waiting;
  await wait.join();
  t.is(timers.size, 0);
  wait.sourceAnswers(true);
  const again = wait.join();
  t.false(await isOver(again));
  wait.sourceAnswers(false);
  await again;
  await wait.join();
  t.is(timers.size, 0);
});

test('so many may wait, and more go without', async (t) => {
  const { wait } = setUp();
  const all = Array.from({ length: 10_000 }, async () => wait.join());
  await wait.join();
  t.false(await isOver(all[9_999]!));
  wait.end();
  await Promise.all(all);
  const next = wait.join();
  t.false(await isOver(next));
  wait.end();
  await next;
});
