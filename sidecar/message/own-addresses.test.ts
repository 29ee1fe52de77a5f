import test from 'ava';
import { ownAddresses } from './own-addresses.ts';

test('the same set while the addresses are the same', async (t) => {
  const own = ownAddresses();
  const first = own();
  t.true(first.has('127.0.0.1'));
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  t.is(own(), first);
});
