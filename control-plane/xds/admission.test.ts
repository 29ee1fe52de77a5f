import test from 'ava';
import { Admission, PeerAdmission } from './admission.ts';

test('a bucket admits its burst, and then as many as its rate', (t) => {
  const bucket = new Admission({ perSecond: 10, burst: 2 }, 0);
  t.deepEqual(
    [0, 0, 0, 99, 100, 100].map((now) => bucket.admit(now)),
    [true, true, false, false, true, false],
  );
});

test('given a peer that used up its own tokens, others have theirs', (t) => {
  const peers = new PeerAdmission({ perSecond: 1, burst: 2 });
  t.deepEqual(
    ['a', 'a', 'a', 'b'].map((peer) => peers.admit(peer, 0)),
    [true, true, false, true],
  );
});

test('however many peers there are, remembers a bounded number, and none whose bucket is full again', (t) => {
  const peers = new PeerAdmission({ perSecond: 1, burst: 2 }, 100);
  for (let at = 0; at < 1000; at += 1) peers.admit(`${at}`, 0);
  t.is(peers.size, 100);
  peers.admit('later', 10_000);
  t.is(peers.size, 1);
});
