import test from 'ava';
import { createLogger } from '../../process/log.ts';
import { VirtualClock } from '../../test/injector/virtual-clock.ts';
import { Reconciler } from './reconciler.ts';

function watched(reconcile: () => Promise<number>) {
  const clock = new VirtualClock(0);
  const warnings: string[] = [];
  const reconciler = new Reconciler({
    reconcile,
    what: 'Writing it',
    world: { now: clock.now, schedule: clock.schedule, random: () => 1 },
    logger: createLogger({
      format: 'json',
      level: () => 'warn',
      write: (line) => warnings.push(JSON.parse(line).message),
      now: () => new Date(),
    }),
  });
  return { clock, reconciler, warnings };
}

test('one attempt at a time, and one more for all that happened meanwhile', async (t) => {
  const gates: PromiseWithResolvers<number>[] = [];
  const { clock, reconciler } = watched(() => {
    const gate = Promise.withResolvers<number>();
    gates.push(gate);
    return gate.promise;
  });
  for (let time = 0; time < 3; time += 1) reconciler.wake();
  t.is(gates.length, 1);
  gates[0]?.resolve(10_000);
  await reconciler.settled();
  t.is(gates.length, 1);
  t.true(clock.next());
  t.is(gates.length, 2);
  // Soon, and not at once: whoever undoes what we do is not raced with.
  t.is(clock.now(), 250);
  gates[1]?.resolve(10_000);
  await reconciler.settled();
  clock.next();
  t.is(clock.now(), 10_250);
});

test('a clock that is set back holds up nothing', async (t) => {
  let attempts = 0;
  let ahead = 3 * 86_400_000;
  const clock = new VirtualClock(0);
  const reconciler = new Reconciler({
    reconcile: async () => {
      attempts += 1;
      return 1_000;
    },
    what: 'Writing it',
    world: { now: () => clock.now() + ahead, schedule: clock.schedule, random: () => 1 },
    logger: createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() }),
  });
  reconciler.wake();
  ahead = 0;
  reconciler.wake();
  await reconciler.settled();
  clock.next();
  t.is(attempts, 2);
  t.is(clock.now(), 250);
});

test('failures are tried again, ever later, said once, and forgotten after a success', async (t) => {
  const failure = new Error('no route to host');
  let isBroken = true;
  const { clock, reconciler, warnings } = watched(async () => {
    if (isBroken) throw failure;
    return 1_000_000;
  });
  reconciler.wake();
  const at: number[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    await reconciler.settled();
    t.is(reconciler.problem, 'no route to host');
    clock.next();
    at.push(clock.now() / 1000);
  }
  t.deepEqual(at, [1, 3, 7, 15, 31, 63, 123, 183]);
  t.deepEqual(warnings, ['Writing it did not succeed and is tried again']);
  isBroken = false;
  await reconciler.settled();
  clock.next();
  await reconciler.settled();
  t.is(reconciler.problem, undefined);
});

test('closed, it tries no more', async (t) => {
  let attempts = 0;
  const { clock, reconciler } = watched(async () => {
    attempts += 1;
    return 1_000;
  });
  reconciler.wake();
  reconciler.close();
  await reconciler.settled();
  reconciler.wake();
  t.false(clock.next());
  t.is(attempts, 1);
});
