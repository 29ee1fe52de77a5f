import test from 'ava';
import { PeerStreams } from './peer-streams.ts';

test('one peer, by whatever connections, has no more than its share, and others have theirs', (t) => {
  const streams = new PeerStreams(2);
  t.true(streams.opened('10.0.0.1:4000'));
  t.true(streams.opened('10.0.0.1:4001'));
  t.false(streams.opened('10.0.0.1:4002'));
  t.true(streams.opened('[fd00::1]:4000'));
  streams.closed('10.0.0.1:4000');
  t.true(streams.opened('10.0.0.1:4003'));
  t.false(streams.opened('10.0.0.1:4004'));
});
