import { networkInterfaces } from 'node:os';
import test from 'ava';
import { isListenedAt } from './own-address.ts';

test('the same address and port, or a wildcard and an address of this machine', (t) => {
  const listening = [
    { address: '127.0.0.1', port: 1 },
    { address: '0.0.0.0', port: 2 },
    { address: '::', port: 3 },
  ];
  const own = Object.values(networkInterfaces()).flatMap((infos) => infos ?? [])[0]?.address ?? '127.0.0.1';
  for (const [address, port, expected] of [
    ['127.0.0.1', 1, true],
    ['192.0.2.1', 1, false],
    ['127.0.0.9', 1, false],
    ['127.0.0.9', 2, true],
    [own, 2, true],
    [own, 3, true],
    ['192.0.2.1', 2, false],
    [own, 4, false],
  ] as const) {
    t.is(isListenedAt({ address, port }, listening), expected, `${address} ${port}`);
  }
});
