import test from 'ava';
import type { Candidate } from '../services/decision.ts';
import { EndpointLoad, LoadBook } from './load.ts';

function candidate(address: string): Candidate {
  return { id: `${address}:80`, address, port: 80, zone: '', node: '' };
}

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
  const [stays, leaves, busy] = [candidate('10.0.0.1'), candidate('10.0.0.2'), candidate('10.0.0.3')];
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
