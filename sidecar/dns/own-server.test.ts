import { networkInterfaces } from 'node:os';
import test from 'ava';
import { isOwnServer } from './own-server.ts';

const outside = Object.values(networkInterfaces())
  .flatMap((infos) => infos ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

test('the proxy itself is known by its address and port, and as an address of the machine by a wildcard', (t) => {
  for (const [listen, address, port, expected] of [
    ['127.0.0.1', '127.0.0.1', 53, true],
    ['127.0.0.1', '127.0.0.1', 5053, false],
    ['127.0.0.1', '127.0.0.53', 53, false],
    ['127.0.0.1', '0.0.0.0', 53, true],
    ['::1', '::1', 53, true],
    ['::1', '0:0:0:0:0:0:0:1', 53, true],
    ['0::1', '::1', 53, true],
    ['::1', '::', 53, true],
    ['0.0.0.0', '127.0.0.1', 53, true],
    ['0.0.0.0', '127.0.0.53', 53, true],
    ['0.0.0.0', '0.0.0.0', 53, true],
    ['0.0.0.0', outside ?? '127.0.0.1', 53, true],
    ['0.0.0.0', outside ?? '127.0.0.1', 5053, false],
    ['0.0.0.0', '192.0.2.1', 53, false],
    ['0.0.0.0', '::1', 53, false],
    ['::', '127.0.0.1', 53, false],
    ['::', outside ?? '127.0.0.1', 53, false],
    ['::', '2001:db8::1', 53, false],
    ['::', 'fe80::1%none', 53, false],
  ] as const) {
    const listening = [{ address: listen, port: 53 }];
    t.is(isOwnServer({ address, port }, listening), expected, `${listen}: ${address} ${port}`);
  }
});

const hasIPv6 = Object.values(networkInterfaces()).some((infos) =>
  infos?.some(({ address }) => address === '::1'),
);

(hasIPv6 ? test : test.skip)('by the IPv6 wildcard as well', (t) => {
  for (const address of ['::1', '0:0::1', '::']) {
    t.true(isOwnServer({ address, port: 53 }, [{ address: '::', port: 53 }]), address);
  }
});
