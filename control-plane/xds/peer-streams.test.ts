import test from 'ava';
import { hostOf } from './caller.ts';
import { PeerStreams } from './peer-streams.ts';

test('one caller has no more than its share, and others have theirs', (t) => {
  const streams = new PeerStreams(2);
  t.true(streams.opened('10.0.0.1'));
  t.true(streams.opened('10.0.0.1'));
  t.false(streams.opened('10.0.0.1'));
  t.true(streams.isFull('10.0.0.1'));
  t.true(streams.opened('fd00::1'));
  streams.closed('10.0.0.1');
  t.true(streams.opened('10.0.0.1'));
  t.false(streams.opened('10.0.0.1'));
});

test('a peer is one by whatever connection and family it comes', (t) => {
  t.is(hostOf('10.0.0.1:4000'), '10.0.0.1');
  t.is(hostOf('::ffff:10.0.0.1:4000'), '10.0.0.1');
  t.is(hostOf('fd00::1:4000'), 'fd00::1');
});
