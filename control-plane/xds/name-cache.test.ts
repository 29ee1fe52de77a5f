import test from 'ava';
import * as fc from 'fast-check';
import { readName } from './name-cache.ts';

const texts = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 4 }),
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.string({ minLength: 100, maxLength: 300 }),
);

test('reads what decoding reads, whatever was read before', (t) => {
  const bytes = fc.oneof(
    texts.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 4 }).map((array) => Buffer.from(array)),
    // Latin-1 bytes of a text whose UTF-8 was read before must not read as that text.
    texts.map((text) => Buffer.from(text, 'latin1')),
  );
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), (all) => {
      for (const one of [...all, ...all]) t.is(readName(one), one.toString());
    }),
  );
});

test('reads a part of a message', (t) => {
  t.is(readName(Buffer.from('before a/b/c after'), 7, 12), 'a/b/c');
});
