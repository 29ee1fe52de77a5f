import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { LogLevel, stderrLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
import { until } from '../test/until.ts';
import { watchOutage } from './outage.ts';

test('during an outage the program is not ready and turns clients away; afterwards it is as before', async (t) => {
  let outage: string | undefined;
  const told: boolean[] = [];
  const readiness = new Readiness();
  const stop = watchOutage({
    source: { outage: () => outage },
    readiness,
    logger: stderrLogger('test', 'text', new LogLevel('error')),
    turnAway: (isBeginning) => told.push(isBeginning),
    everyMs: 5,
  });
  t.teardown(stop);
  await delay(20);
  t.true(readiness.isReady);
  outage = 'the API server was not heard of Pod for 301 s';
  await until(
    '3 calls of turnAway',
    () => told,
    ({ length }) => length >= 3,
  );
  t.deepEqual(told.slice(0, 3), [true, false, false]);
  t.deepEqual(readiness.reasons, [outage]);
  outage = undefined;
  await until('ready again', () => readiness.isReady, Boolean);
  outage = 'again';
  await until(
    'not ready again',
    () => readiness.isReady,
    (isReady) => !isReady,
  );
  t.is(told.filter((isBeginning) => isBeginning).length, 2);
});
