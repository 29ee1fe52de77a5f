import test from 'ava';
import * as fc from 'fast-check';
import { labelsOf, readLabels } from './name.ts';
import { EDNS, QueryReader, writeOpt } from './query.ts';
import { setUint16, uint16 } from './protocol.ts';
import { addressTo, AnswerWriter, emptyAnswer, withOpt } from './writer.ts';

/** A query as resolvers send it. */
function query(name: string, { type = 1, edns = false } = {}): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  const bytes = Buffer.concat([Buffer.alloc(12), ...labels, Buffer.alloc(5 + (edns ? 11 : 0))]);
  bytes.writeUInt16BE(0x1234, 0);
  bytes.writeUInt16BE(0x0100, 2);
  bytes.writeUInt16BE(1, 4);
  const questionEnd = bytes.length - (edns ? 11 : 0);
  bytes.writeUInt16BE(type, questionEnd - 4);
  bytes.writeUInt16BE(1, questionEnd - 2);
  if (edns) {
    bytes.writeUInt16BE(1, 10);
    writeOpt(bytes, questionEnd, EDNS.PLAIN, 4096);
  }
  return bytes;
}

const reader = new QueryReader(1);
const read = (bytes: Uint8Array) => reader.read(bytes, 0, bytes.length);

test('a plain question', (t) => {
  t.is(read(query('Web.demo', { type: 28 })), 'question');
  t.deepEqual(
    [reader.id, reader.type, reader.class, reader.edns, reader.limit],
    [0x1234, 28, 1, EDNS.NONE, 512],
  );
  const { data, nameStart, end } = reader;
  t.deepEqual(readLabels(data, nameStart, { message: 0, end }), ['web', 'demo']);
});

test('EDNS tells how long an answer may be', (t) => {
  const bytes = query('web', { edns: true });
  t.is(read(bytes), 'question');
  t.deepEqual([reader.edns, reader.limit, reader.hasOptions], [EDNS.PLAIN, 4096, false]);
  bytes[bytes.length - 5] = 1;
  t.is(read(bytes), 'unusual', 'a version that nobody knows');
});

test('names that differ in case alone are one', (t) => {
  read(query('WEB.demo'));
  const { hash } = reader;
  read(query('web.DEMO'));
  t.is(reader.hash, hash);
  // 65 is HTTPS and `A`, 97 is `a`.
  read(query('web.demo', { type: 65 }));
  const https = reader.hash;
  read(query('web.demo', { type: 97 }));
  t.not(reader.hash, https);
});

test('what nobody may answer, what is wrong, and what is for others', (t) => {
  t.is(read(Buffer.alloc(11)), 'ignored');
  const response = query('web');
  response[2] = 0x81;
  t.is(read(response), 'ignored');
  t.is(read(query('web').subarray(0, 18)), 'malformed');
  const pointer = query('web');
  pointer[12] = 0xc0;
  t.is(read(pointer), 'malformed');
  const update = query('web');
  update[2] = 0x28;
  t.is(read(update), 'unusual');
  t.is(read(Buffer.concat([query('web'), Buffer.from('more')])), 'unusual');
});

test('no bytes make it throw or read outside', (t) => {
  const base = query('web.demo.svc.cluster.local', { edns: true });
  const mutated = fc
    .array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 6 })
    .map((changes) => {
      const bytes = Buffer.from(base);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const bytesArbitrary = fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated);
  fc.assert(
    fc.property(bytesArbitrary, fc.nat(), (bytes, cut) => {
      const end = Math.min(bytes.length, cut);
      const kind = reader.read(bytes, 0, end);
      if (kind === 'question') {
        t.true(reader.questionEnd <= end);
        t.not(readLabels(bytes, reader.nameStart, { message: 0, end }), undefined);
      }
      if (kind !== 'ignored') emptyAnswer(reader, 1, kind === 'question');
      readLabels(bytes, 12, { message: 0, end: bytes.length });
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,14}[a-z0-9])?$/u);
const name = fc.array(label, { minLength: 1, maxLength: 8 }).map((labels) => labels.join('.'));

test('what is written is read again, whatever was shortened', (t) => {
  const writer = new AnswerWriter();
  fc.assert(
    fc.property(
      name,
      fc.array(name, { maxLength: 20 }),
      fc.integer({ min: 512, max: 4096 }),
      (asked, targets, limit) => {
        const bytes = query(asked, { type: 12 });
        read(bytes);
        const question = { bytes: bytes.subarray(12, reader.questionEnd), labels: asked.split('.') };
        const answers = targets.map((target) => ({ type: 'PTR', name: asked, ttl: 5, target }) as const);
        const written = writer.write(question, { rcode: 0, isAuthoritative: true, answers }, limit);
        addressTo(written, reader);
        t.true(written.length <= limit);
        t.is(uint16(written, 0), 0x1234);
        const count = uint16(written, 6);
        t.is((uint16(written, 2) & 0x0200) !== 0, count < targets.length);
        let at = reader.questionEnd;
        for (const target of targets.slice(0, count)) {
          t.deepEqual(readLabels(written, at, { message: 0, end: written.length }), asked.split('.'));
          t.deepEqual(readLabels(written, at + 12, { message: 0, end: written.length }), target.split('.'));
          at += 12 + uint16(written, at + 10);
        }
        t.is(at, written.length);
      },
    ),
    { numRuns: 300 },
  );
});

test('pointers in a circle end', (t) => {
  const bytes = Buffer.alloc(40);
  setUint16(bytes, 12, 0xc00e);
  setUint16(bytes, 14, 0xc00c);
  t.is(readLabels(bytes, 12, { message: 0, end: 40 }), undefined);
  t.is(readLabels(bytes, 14, { message: 0, end: 40 }), undefined);
});

test('an OPT is put behind an answer', (t) => {
  const bytes = query('web');
  const answer = withOpt(bytes, EDNS.DNSSEC);
  t.deepEqual([...answer.subarray(bytes.length)], [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
  t.is(uint16(answer, 10), 1);
});

test('what cannot be a name on the wire is none', (t) => {
  t.deepEqual(labelsOf('DB.example.com.'), ['db', 'example', 'com']);
  for (const text of ['', '.', 'a..b', 'x'.repeat(64), Array(130).fill('a').join('.')])
    t.is(labelsOf(text), undefined);
});

test('pointers that lead from one to the next are followed for a while only', (t) => {
  const message = new Uint8Array(2 + 2 * 200);
  for (let index = 1; index <= 200; index++) {
    const to = 2 * (index - 1);
    message.set(index === 1 ? [0xc0, 0] : [0xc0 | (to >> 8), to & 0xff], 2 * index);
  }
  const labelsAt = (pointers: number): string[] | undefined =>
    readLabels(message, 2 * pointers, { message: 0, end: message.length });
  t.deepEqual(labelsAt(127), []);
  t.is(labelsAt(128), undefined);
});
