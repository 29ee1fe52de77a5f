import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { LogLevel, stderrLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
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
  while (told.length < 3) await delay(5);
  t.deepEqual(told.slice(0, 3), [true, false, false]);
  t.deepEqual(readiness.reasons, [outage]);
  outage = undefined;
  while (!readiness.isReady) await delay(5);
  outage = 'again';
  while (readiness.isReady) await delay(5);
  t.is(told.filter((isBeginning) => isBeginning).length, 2);
});
