import { SocketAddress } from 'node:net';
import test from 'ava';
import * as fc from 'fast-check';
import { formatIPv6, readSockaddr, SOCKADDR_BYTES, writeSockaddr } from './sockaddr.ts';

// Zeroes are what it is about: half of the groups are.
const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });

function canonical(values: readonly number[]): string {
  const text = values.map((value) => value.toString(16)).join(':');
  return new SocketAddress({ address: text, family: 'ipv6' }).address;
}

test('an IPv6 address is written as the C library writes it', (t) => {
  fc.assert(
    fc.property(groups, (values) => {
      const bytes = Buffer.alloc(24);
      values.forEach((value, index) => bytes.writeUInt16BE(value, 8 + 2 * index));
      t.is(formatIPv6(bytes, 8), canonical(values));
    }),
    { numRuns: 2_000 },
  );
});

test('what is written is read again, wherever it lies', (t) => {
  const address = fc.oneof(fc.ipV4(), groups.map(canonical));
  fc.assert(
    fc.property(address, fc.nat(65_535), fc.nat(40), (text, port, at) => {
      const bytes = new Uint8Array(at + SOCKADDR_BYTES).fill(0xaa);
      writeSockaddr(bytes, at, { address: text, port });
      t.deepEqual(readSockaddr(bytes, at), { address: text, port });
    }),
    { numRuns: 2_000 },
  );
});

test('the zone of a link-local address is the number of its interface', (t) => {
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  writeSockaddr(bytes, 0, { address: 'fe80::1%7', port: 53 });
  t.is(new DataView(bytes.buffer).getUint32(24, true), 7);
  // Machines that make and drop many interfaces, as nodes do for pods, have large ones.
  writeSockaddr(bytes, 0, { address: 'fe80::1%70000', port: 53 });
  t.is(new DataView(bytes.buffer).getUint32(24, true), 70_000);
  writeSockaddr(bytes, 0, { address: 'fe80::1%none', port: 53 });
  t.is(new DataView(bytes.buffer).getUint32(24, true), 0);
});
