import test from 'ava';
import { Interest } from './interest.ts';

const IDLE_MS = 300_000;
const WAIT_MS = 2000;

/** Time that passes when told to. */
function fakeTime() {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  return {
    get pending() {
      return timers.size;
    },
    schedule: (delayMs: number, run: () => void) => {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    pass: (ms: number) => {
      now += ms;
      for (const timer of [...timers].filter(({ at }) => at <= now)) {
        timers.delete(timer);
        timer.run();
      }
    },
  };
}

function setUp(maxServices = 20_000) {
  const time = fakeTime();
  const told = new Set<string>();
  const givenUp: string[] = [];
  const asked: string[] = [];
  const interest = new Interest({
    source: {
      subscribe: (service) => asked.push(`+${service}`),
      unsubscribe: (service) => asked.push(`-${service}`),
    },
    schedule: time.schedule,
    idleMs: IDLE_MS,
    waitMs: WAIT_MS,
    maxServices,
    isTold: (service) => told.has(service),
    giveUp: (service) => {
      givenUp.push(service);
      told.add(service);
    },
  });
  return { interest, time, told, givenUp, asked };
}

async function isOver(known: Promise<void>): Promise<boolean> {
  return Promise.race([
    known.then(() => true),
    new Promise<false>((resolve) => setImmediate(resolve, false)),
  ]);
}

test('the first use subscribes, later ones share that, and idleness ends it', (t) => {
  const { interest, time, asked } = setUp();
  const one = interest.use('demo/a');
  const two = interest.use('demo/a');
  one.release();
  one.release();
  time.pass(IDLE_MS);
  t.deepEqual(asked, ['+demo/a'], 'the other lease holds it, released twice or not');
  two.release();
  time.pass(IDLE_MS - 1);
  interest.use('demo/a').release();
  time.pass(IDLE_MS - 1);
  t.deepEqual(asked, ['+demo/a'], 'each use begins the idle time anew');
  time.pass(1);
  t.deepEqual(asked, ['+demo/a', '-demo/a']);
  t.is(interest.size, 0);
  t.is(time.pending, 0);
});

test('a pinned Service is never let go', (t) => {
  const { interest, time, asked } = setUp();
  interest.pin('demo/a');
  interest.use('demo/a').release();
  time.pass(10 * IDLE_MS);
  t.deepEqual(asked, ['+demo/a']);
});

test('what an earlier run held is subscribed to, and let go when nobody uses it', (t) => {
  const { interest, time, asked } = setUp();
  interest.adopt('demo/a');
  interest.adopt('demo/b');
  interest.use('demo/b');
  time.pass(IDLE_MS);
  t.deepEqual(asked, ['+demo/a', '+demo/b', '-demo/a']);
});

test('a lease waits until the Service is told', async (t) => {
  const { interest, time, told } = setUp();
  const lease = interest.use('demo/a');
  const other = interest.use('demo/b');
  t.false(await isOver(lease.known));
  told.add('demo/a');
  interest.settle();
  t.true(await isOver(lease.known));
  t.false(await isOver(other.known));
  t.true(await isOver(interest.use('demo/a').known), 'told already');
  other.release();
  interest.close();
  t.true(await isOver(other.known));
  t.is(time.pending, 0);
});

test('a lease waits again for what has to be told again', async (t) => {
  const { interest, told } = setUp();
  const lease = interest.use('demo/a');
  const first = lease.known;
  told.add('demo/a');
  interest.settle();
  t.true(await isOver(first));
  t.true(await isOver(lease.known));
  told.delete('demo/a');
  t.false(await isOver(lease.known));
  told.add('demo/a');
  interest.settle();
  t.true(await isOver(lease.known));
  interest.close();
  told.delete('demo/a');
  t.true(await isOver(lease.known), 'nobody waits after the end');
});

test('a wait has its limit, and nobody waits for that Service again', async (t) => {
  const { interest, time, givenUp } = setUp();
  const lease = interest.use('demo/a');
  time.pass(WAIT_MS - 1);
  t.false(await isOver(lease.known));
  time.pass(1);
  t.true(await isOver(lease.known));
  t.true(await isOver(interest.use('demo/a').known));
  t.deepEqual(givenUp, ['demo/a']);
});

test('while nobody answers, nobody waits', async (t) => {
  const { interest, givenUp } = setUp();
  const before = interest.use('demo/a');
  interest.sourceAnswers(false);
  t.true(await isOver(before.known));
  t.true(await isOver(interest.use('demo/b').known));
  t.deepEqual(givenUp, ['demo/a', 'demo/b']);
  interest.sourceAnswers(true);
  t.false(await isOver(interest.use('demo/c').known));
  interest.close();
});

test('ten thousand Services used once leave nothing behind', (t) => {
  const { interest, time } = setUp();
  for (let index = 0; index < 10_000; index += 1) {
    interest.use(`demo/${index}`).release();
  }
  time.pass(IDLE_MS);
  t.is(interest.size, 0);
  t.is(time.pending, 0);
});

test('beyond the most Services at once the longest unused one makes room', (t) => {
  const { interest, asked } = setUp(2);
  interest.use('demo/a').release();
  const b = interest.use('demo/b');
  interest.use('demo/c').release();
  interest.use('demo/d').release();
  t.deepEqual(asked, ['+demo/a', '+demo/b', '-demo/a', '+demo/c', '-demo/c', '+demo/d']);
  b.release();
});

test('where all are in use, one more is not waited for, and gets its turn later', async (t) => {
  const { interest, time, givenUp, asked, told } = setUp(1);
  const first = interest.use('demo/a');
  const second = interest.use('demo/b');
  t.true(await isOver(second.known));
  t.deepEqual(givenUp, ['demo/b']);
  first.release();
  second.release();
  time.pass(IDLE_MS);
  told.clear();
  interest.use('demo/b').release();
  t.deepEqual(asked, ['+demo/a', '-demo/a', '-demo/b', '+demo/b']);
});
