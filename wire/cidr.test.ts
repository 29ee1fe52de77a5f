import { BlockList, isIPv4 } from 'node:net';
import test from 'ava';
import * as fc from 'fast-check';
import { hasHostBits, parseCidr } from './cidr.ts';

function written(input: string): string {
  const { address, prefix } = parseCidr(input)!;
  return `${address}/${prefix}`;
}

test('blocks of addresses, without the bits behind the prefix', (t) => {
  t.is(written('10.1.2.3/8'), '10.0.0.0/8');
  t.is(written('10.1.2.3'), '10.1.2.3/32');
  t.is(written('0.0.0.0/0'), '0.0.0.0/0');
  t.is(written('FD00:0:0:1::7/48'), 'fd00::/48');
  t.is(written('::ffff:10.0.0.1'), '::ffff:a00:1/128');
  t.is(written('::/0'), '::/0');
  for (const wrong of ['', '10.0.0/8', '10.0.0.0/33', '::/129', '::1%lo', 'pods', '10.0.0.0/', '1:2/3/4']) {
    t.is(parseCidr(wrong), undefined, wrong);
  }
});

test('a block holds the address it was written with, and is written the same again', (t) => {
  const ipv4 = fc.tuple(fc.ipV4(), fc.nat(32));
  const ipv6 = fc.tuple(fc.ipV6(), fc.nat(128));
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), ([address, prefix]) => {
      const block = parseCidr(`${address}/${prefix}`)!;
      const list = new BlockList();
      list.addSubnet(block.address, block.prefix, block.family);
      t.true(list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'), `${address}/${prefix}`);
      t.deepEqual(parseCidr(`${block.address}/${block.prefix}`), block);
    }),
  );
});

test('bits behind the prefix are noticed, however the address is written', (t) => {
  for (const [text, expected] of [
    ['10.1.2.3/8', true],
    ['10.0.0.0/8', false],
    ['10.1.2.3', false],
    ['FD00:0:0:1::7/48', true],
    ['FD00:0:0::/48', false],
    ['::ffff:10.0.0.0/104', false],
    ['0.0.0.0/0', false],
  ] as const) {
    t.is(hasHostBits(text, parseCidr(text)!), expected, text);
  }
});
