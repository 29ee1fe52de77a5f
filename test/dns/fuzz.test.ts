/** Whatever bytes come, by UDP or TCP: an ordinary query is answered right afterwards. */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import * as fc from 'fast-check';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { addressAnswer, type Behaviour } from './name-server.ts';
import { startProxy } from './proxy.ts';

const answering: Behaviour = (query) => [addressAnswer(query)];

const DOMAIN = 'demo.svc.cluster.local';
const HELLO = `hello.${DOMAIN}`;
const NAMES = [
  HELLO,
  `pods.${DOMAIN}`,
  `many.${DOMAIN}`,
  `outside.${DOMAIN}`,
  `circle.${DOMAIN}`,
  `_web._tcp.hello.${DOMAIN}`,
  `gone.${DOMAIN}`,
  '1.0.96.10.in-addr.arpa',
  'www.example.com',
  `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.example.com`,
];
/** A, AAAA, SRV, PTR, ANY, TXT, AXFR, SOA. */
const TYPES = [1, 28, 33, 12, 255, 16, 252, 6];

function opt(size: number, optionBytes: number): Buffer {
  const bytes = Buffer.alloc(11 + (optionBytes > 0 ? 4 + optionBytes : 0));
  bytes.writeUInt16BE(41, 1);
  bytes.writeUInt16BE(size, 3);
  bytes.writeUInt16BE(bytes.length - 11, 9);
  if (optionBytes > 0) bytes.writeUInt32BE(0x000a_0000 + optionBytes, 11);
  return bytes;
}

const real = fc
  .record({
    name: fc.constantFrom(...NAMES),
    type: fc.constantFrom(...TYPES),
    size: fc.option(fc.constantFrom(0, 512, 4_096, 65_535)),
    optionBytes: fc.constantFrom(0, 8, 3_000),
  })
  .map(({ name, type, size, optionBytes }) => {
    const query = Buffer.from(queryFor(name.split('.'), type));
    if (size === null) return query;
    query.writeUInt16BE(1, 10);
    return Buffer.concat([query, opt(size, optionBytes)]);
  });

type Change = (bytes: Buffer) => Buffer;

function withUint16(at: number, value: number): Change {
  return (bytes) => {
    if (bytes.length >= at + 2) bytes.writeUInt16BE(value, at);
    return bytes;
  };
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]): Change => {
    return (bytes) => Buffer.from(bytes.with(at % bytes.length, value));
  }),
  fc.nat().map(
    (length): Change =>
      (bytes) =>
        bytes.subarray(0, 1 + (length % bytes.length)),
  ),
  // Flags with any opcode, QR and rcode; the four counts.
  fc.tuple(fc.constantFrom(2, 4, 6, 8, 10), fc.nat(0xffff)).map(([at, value]) => withUint16(at, value)),
  // A compression pointer, anywhere and to anywhere.
  fc.tuple(fc.nat(300), fc.nat(0x3fff)).map(([at, to]) => withUint16(12 + at, 0xc000 | to)),
  fc.uint8Array({ maxLength: 2_000 }).map(
    (more): Change =>
      (bytes) =>
        Buffer.concat([bytes, more]),
  ),
);

const packet = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 1_500 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(real, fc.array(change, { maxLength: 4 }))
      .map(([bytes, changes]) => changes.reduce<Buffer>((changed, one) => one(changed), bytes)),
  },
);

const ORDINARY = Buffer.from(queryFor(HELLO.split('.'), 1));

/** From somebody else's resolver, c-ares, which reads the answer as well. */
function resolverOf(port: number): Resolver {
  const resolver = new Resolver({ timeout: 2_000, tries: 3 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
}

test('by UDP', async (t) => {
  const { port, proxy } = await startProxy(t, answering);
  const strange = createSocket('udp4').on('message', () => {});
  const resolver = resolverOf(port);
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { minLength: 1, maxLength: 20 }), async (packets) => {
      for (const bytes of packets) strange.send(bytes, port, '127.0.0.1');
      t.deepEqual(await resolver.resolve4(HELLO), ['10.96.0.1']);
    }),
    { numRuns: 300 },
  );
  t.true(proxy.counters.ignored > 0);
  strange.close();
});

/** Of one question by TCP, with its length. */
async function answerByTcp(port: number): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.end(Buffer.concat([Buffer.from([0, ORDINARY.length]), ORDINARY]));
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(received);
}

test('by TCP, with lengths right and wrong, in pieces', async (t) => {
  const { port, proxy } = await startProxy(t, answering);
  t.deepEqual(await resolverOf(port).resolve4(HELLO), ['10.96.0.1']);
  const expected = await answerByTcp(port);
  t.deepEqual([...expected.subarray(-4)], [10, 96, 0, 1]);
  const message = fc.tuple(packet, fc.option(fc.nat(0xffff), { freq: 8 })).map(([bytes, length]) => {
    const before = Buffer.alloc(2);
    before.writeUInt16BE(length ?? bytes.length);
    return Buffer.concat([before, bytes]);
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 2_000 }),
      async (messages, piece) => {
        const strange = connect(port, '127.0.0.1');
        strange.on('error', () => {}).resume();
        const bytes = Buffer.concat(messages);
        for (let at = 0; at < bytes.length; at += piece) strange.write(bytes.subarray(at, at + piece));
        t.deepEqual(await answerByTcp(port), expected);
        strange.destroy();
      },
    ),
    { numRuns: 200 },
  );
  t.true(proxy.counters.ignored > 0);
});
