import test from 'ava';
import { EndpointLoad } from '../balance/load.ts';
import { Udp } from '../datagram/udp.ts';
import { Backend } from './backend.ts';

const LONG_MS = 600_000;

function opened(load: EndpointLoad): Backend {
  const nobody = { received: () => {}, failed: () => {} };
  const result = new Udp().connect({ address: '127.0.0.1', port: 9 }, nobody);
  if (!result.ok) throw new Error(result.code);
  return new Backend('127.0.0.1:9', result.socket, load);
}

test('others need not wait for an answer to what goes one way only', (t) => {
  const load = new EndpointLoad('127.0.0.1:9');
  const nowMs = performance.now();
  opened(load).close('refused');
  t.true(load.isAvoided(nowMs));
  const oneWay = opened(load);
  const later = nowMs + LONG_MS;
  t.true(load.isAvoided(later), 'it may tell yet');
  oneWay.tick(nowMs);
  t.true(load.isAvoided(later));
  oneWay.tick(later);
  t.false(load.isAvoided(later));
  oneWay.tick(later);
  oneWay.answered(later);
  t.is(load.active, 1);
  oneWay.close('left');
  t.is(load.active, 0);
});

test('one that refuses in the end, when nobody waited for an answer any more, is avoided', (t) => {
  const load = new EndpointLoad('127.0.0.1:9');
  const oneWay = opened(load);
  oneWay.tick(performance.now() + LONG_MS);
  oneWay.close('refused');
  t.true(load.isAvoided(performance.now()));
  t.is(load.active, 0);
});
