import test from 'ava';
import { keepAliveWithin } from './limits.ts';
import { afterRest } from './rest.ts';

const resting = { isIntercepted: true, isLeftBehind: false, isBroken: false, idleTimeoutMs: 60_000 };
const DAYS = 30 * 86_400_000;

test('an intercepted connection may rest for ever, and is kept alive', (t) => {
  t.is(afterRest({ ...resting, quietMs: 4_999 }), 'nothing');
  t.is(afterRest({ ...resting, quietMs: 5_000 }), 'keep-alive');
  t.is(afterRest({ ...resting, quietMs: DAYS }), 'keep-alive');
});

test('one that the workload has left behind is closed, once the sidecar is to end', (t) => {
  t.is(afterRest({ ...resting, isLeftBehind: true, quietMs: 2_999 }), 'nothing');
  t.is(afterRest({ ...resting, isLeftBehind: true, quietMs: 3_000 }), 'close');
});

test('one of an upstream is cut after its idle time', (t) => {
  const upstream = { ...resting, isIntercepted: false };
  t.is(afterRest({ ...upstream, quietMs: 59_999 }), 'nothing');
  t.is(afterRest({ ...upstream, quietMs: 60_000 }), 'cut');
});

test('one of which a side is gone does not wait for ever for the other to take what that had sent', (t) => {
  t.is(afterRest({ ...resting, isBroken: true, quietMs: 9_999 }), 'keep-alive');
  t.is(afterRest({ ...resting, isBroken: true, quietMs: 10_000 }), 'break-off');
});

test('a peer is asked every minute at the most, and given up after the idle time without an answer', (t) => {
  for (const idleTimeoutMs of [1, 2_000, 60_000, 61_000, 3_600_000, 86_400_000]) {
    const { idleSeconds, intervalSeconds, probes } = keepAliveWithin(idleTimeoutMs);
    t.true(idleSeconds >= 1 && idleSeconds <= 60 && intervalSeconds >= 1 && probes >= 1 && probes <= 127);
    const givenUpAfter = idleSeconds + intervalSeconds * probes;
    const limit = Math.max(2, idleTimeoutMs / 1_000);
    t.true(
      givenUpAfter >= limit && givenUpAfter < limit + intervalSeconds,
      `${idleTimeoutMs}: ${givenUpAfter}`,
    );
  }
  t.deepEqual(keepAliveWithin(3_600_000), { idleSeconds: 60, intervalSeconds: 59, probes: 60 });
});
