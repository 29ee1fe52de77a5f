import test from 'ava';
import { unmapped } from './socket-address.ts';

test('an IPv4 address that is written as one of IPv6 is written as itself, and no other is touched', (t) => {
  t.is(unmapped('::ffff:192.0.2.7'), '192.0.2.7');
  for (const other of ['192.0.2.7', '::1', '::ffff:0:1', '2001:db8::ffff:1', '::192.0.2.7', '']) {
    t.is(unmapped(other), other);
  }
});
