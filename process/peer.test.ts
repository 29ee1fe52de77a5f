import test from 'ava';
import { isFromHere } from './peer.ts';

test('from loopback or from the very address that was connected to', (t) => {
  for (const [remoteAddress, localAddress, expected] of [
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.9', '127.0.0.1', true],
    ['::ffff:127.0.0.1', '::ffff:127.0.0.1', true],
    ['::1', '::1', true],
    ['10.0.0.7', '10.0.0.7', true],
    ['10.0.0.8', '10.0.0.7', false],
    ['::ffff:10.0.0.8', '::ffff:10.0.0.7', false],
    ['fd00::127.0.0.1', 'fd00::1', false],
    ['::1:2', '::1', false],
    [undefined, undefined, false],
  ] as const) {
    t.is(isFromHere({ remoteAddress, localAddress }), expected, remoteAddress);
  }
});
