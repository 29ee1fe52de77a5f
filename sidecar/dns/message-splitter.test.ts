import test from 'ava';
import * as fc from 'fast-check';
import { MessageSplitter, withLength } from './message-splitter.ts';

/** Each piece in memory of its own, as a socket gives it. */
function pieces(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const end = Math.min(bytes.length, at + (lengths[index % lengths.length] ?? 1));
    all.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return all;
}

test('messages come out as they went in, however they are cut, and stay so', (t) => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  const lengths = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(messages, lengths, (sent, cuts) => {
      const splitter = new MessageSplitter();
      const received: Uint8Array[] = [];
      for (const piece of pieces(Buffer.concat(sent.map(withLength)), cuts)) {
        splitter.add(piece);
        for (let next = splitter.next(); next !== undefined; next = splitter.next()) received.push(next);
      }
      t.deepEqual(
        received.map((message) => Buffer.from(message).toString('hex')),
        sent.map((message) => Buffer.from(message).toString('hex')),
      );
      t.is(splitter.length, 0);
    }),
  );
});

test('what is not whole yet stays', (t) => {
  const splitter = new MessageSplitter();
  splitter.add(Buffer.from([0]));
  t.is(splitter.next(), undefined);
  splitter.add(Buffer.from([2, 7]));
  t.is(splitter.next(), undefined);
  t.is(splitter.length, 3);
  splitter.add(Buffer.from([8, 0]));
  t.deepEqual([...(splitter.next() ?? [])], [7, 8]);
  t.is(splitter.length, 1);
});

test('what is sliced of a message is a copy of its bytes, as of any Uint8Array', (t) => {
  const splitter = new MessageSplitter();
  splitter.add(withLength(Uint8Array.of(7, 8)));
  const message = splitter.next() ?? new Uint8Array(0);
  message.slice().fill(0);
  t.deepEqual([...message], [7, 8]);
});
