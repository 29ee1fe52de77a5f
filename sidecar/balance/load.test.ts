import test from 'ava';
import { candidateOf } from '../../test/fixtures/mesh.ts';
import { EndpointLoad, LoadBook } from './load.ts';

test('latency jumps to a peak and decays, with measurements and without', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  load.connectStarted();
  load.connectSucceeded(2, 0);
  t.is(load.latencyMs(0), 2);
  load.connectStarted();
  load.connectSucceeded(100, 1_000);
  t.is(load.latencyMs(1_000), 100);
  load.connectStarted();
  load.connectSucceeded(2, 2_000);
  const afterOne = load.latencyMs(2_000);
  t.true(afterOne > 50 && afterOne < 100);
  t.true(load.latencyMs(60_000) < 1);
});

test('connections are counted from the attempt to the close, failed ones not as opened', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  load.connectStarted();
  load.connectStarted();
  load.connectSucceeded(1, 0);
  load.connectFailed(1, 0);
  t.deepEqual([load.active, load.opened], [1, 1]);
  t.true(load.isAvoided(1));
  load.closed();
  t.is(load.active, 0);
  load.connectStarted();
  load.connectSucceeded(1, 2);
  t.false(load.isAvoided(3), 'a success clears a failure');
});

test('the book keeps loads across changes and forgets who left, once their connections are closed', (t) => {
  const book = new LoadBook();
  const [stays, leaves, busy] = [
    candidateOf('10.0.0.1', 80),
    candidateOf('10.0.0.2', 80),
    candidateOf('10.0.0.3', 80),
  ];
  const kept = book.of(stays);
  book.of(leaves);
  book.of(busy).connectStarted();
  book.retain([{ ...stays }]);
  t.is(book.of(stays), kept);
  t.deepEqual(
    Array.from(book.all(), (load) => load.id),
    [stays.id, busy.id],
  );
  book.of(busy).closed();
  book.retain([stays]);
  t.deepEqual(
    Array.from(book.all(), (load) => load.id),
    [stays.id],
  );
});

test('each failure in a row doubles the time in which an endpoint is avoided, up to a minute', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  let nowMs = 0;
  const avoidedFor = [1, 2, 3, 4, 5, 6, 7, 8].map(() => {
    load.connectStarted();
    load.connectFailed(1, nowMs + 1);
    const failedAtMs = nowMs + 1;
    for (nowMs = failedAtMs; load.isAvoided(nowMs);) nowMs += 500;
    return nowMs - failedAtMs;
  });
  t.deepEqual(avoidedFor, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  load.connectStarted();
  load.connectSucceeded(1, nowMs);
  load.connectStarted();
  load.connectFailed(1, nowMs + 10);
  t.false(load.isAvoided(nowMs + 1_010), 'after a success it begins anew');
});

test('one that is gone while connections to it are open is avoided as if it had refused them', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  for (let connection = 0; connection < 3; connection++) {
    load.connectStarted();
    load.connectSucceeded(1, 0);
  }
  load.closedAsGone(5_000);
  load.closedAsGone(5_500);
  t.deepEqual([load.active, load.opened], [1, 3]);
  t.true(load.isAvoided(6_499), 'one failure, told of twice');
  t.false(load.isAvoided(6_500));
  load.closedAsGone(7_000);
  t.true(load.isAvoided(8_999), 'and another one');
});

test('many attempts that fail together are one failure', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  for (let attempt = 0; attempt < 10; attempt++) load.connectStarted();
  for (let attempt = 0; attempt < 10; attempt++) load.connectFailed(3_000, 3_000 + attempt * 200);
  t.true(load.isAvoided(5_799));
  t.false(load.isAvoided(5_800));
});

test('once no longer avoided, one connection tries; the others keep away until it is known how that went', (t) => {
  const load = new EndpointLoad('10.0.0.1:80');
  load.connectStarted();
  load.connectFailed(1, 0);
  t.false(load.isAvoided(1_000));
  load.connectStarted();
  t.true(load.isAvoided(2_000));
  load.connectAbandoned();
  t.false(load.isAvoided(2_000), 'an attempt that was given up says nothing');
  load.connectStarted();
  load.connectSucceeded(1, 2_001);
  t.false(load.isAvoided(2_001));
  t.is(load.active, 1);
});
