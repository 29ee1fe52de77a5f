import test from 'ava';
import * as fc from 'fast-check';
import { LineSplitter, TOO_LONG } from './lines.ts';

const LONGEST = 16;

function linesOf(splitter: LineSplitter, ...chunks: readonly (string | Uint8Array)[]): string[] {
  return chunks.flatMap((chunk) => {
    splitter.push(Buffer.from(chunk));
    return drain(splitter);
  });
}

function drain(splitter: LineSplitter): string[] {
  const lines: string[] = [];
  for (let line = splitter.next(); line !== undefined; line = splitter.next()) {
    lines.push(line === TOO_LONG ? 'TOO LONG' : line);
  }
  return lines;
}

/** The same, one character at a time and all at once. */
function expected(text: string): { readonly lines: string[]; readonly last: string | undefined } {
  const pieces = text.split('\n');
  const last = pieces.pop() ?? '';
  const shown = (line: string): string =>
    Buffer.byteLength(line) > LONGEST ? 'TOO LONG' : line.replace(/\r$/u, '');
  const lines = pieces.map(shown);
  if (Buffer.byteLength(last) <= LONGEST)
    return { lines, last: last === '' ? undefined : last.replace(/\r$/u, '') };
  return { lines: [...lines, 'TOO LONG'], last: undefined };
}

test('however the bytes come in pieces, the lines are the same', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ä', '€', '\n', '\r'), maxLength: 120 });
  const cuts = fc.array(fc.nat(200), { maxLength: 8 });
  fc.assert(
    fc.property(text, cuts, (input, places) => {
      const bytes = Buffer.from(input);
      const bounds = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
        (a, b) => a - b,
      );
      const chunks = bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end));
      const splitter = new LineSplitter(LONGEST);
      const lines = linesOf(splitter, ...chunks);
      const wanted = expected(input);
      t.deepEqual(lines, wanted.lines);
      t.is(splitter.last(), wanted.last);
    }),
  );
});

test('a line of exactly the longest is one; a longer one is told once, at once, and the next is whole again', (t) => {
  const splitter = new LineSplitter(4);
  t.deepEqual(linesOf(splitter, 'abcd\nabcde\nabcd\n'), ['abcd', 'TOO LONG', 'abcd']);
  t.deepEqual(linesOf(splitter, 'abc', 'de'), ['TOO LONG']);
  t.deepEqual(linesOf(splitter, 'fgh', 'ijkl'), []);
  t.deepEqual(linesOf(splitter, 'm\nok\n'), ['ok']);
});

test('a line that is skipped is none, up to its end', (t) => {
  const splitter = new LineSplitter(LONGEST);
  splitter.skip();
  t.deepEqual(linesOf(splitter, 'one\ntw'), ['one']);
  t.true(splitter.isWithinLine);
  splitter.skip();
  t.false(splitter.isWithinLine);
  t.deepEqual(linesOf(splitter, 'o', 'o\nthree\n'), ['three']);
});

test('what is kept may be written over afterwards, and counts until all of it is taken', (t) => {
  const splitter = new LineSplitter(LONGEST);
  const shared = Buffer.from('none\none\ntwo');
  splitter.push(shared);
  t.is(splitter.next(), 'none');
  splitter.keep();
  shared.fill('x');
  t.is(splitter.heldBytes, 'one\ntwo'.length);
  t.is(splitter.next(), 'one');
  t.is(splitter.heldBytes, 'one\ntwo'.length);
  t.deepEqual(drain(splitter), []);
  t.is(splitter.heldBytes, splitter.begunBytes);
  splitter.push(Buffer.from('\n'));
  t.deepEqual(drain(splitter), ['two']);
});

test('holds no more than one unfinished line and what was pushed last', (t) => {
  const splitter = new LineSplitter(64 * 1024);
  for (let pushed = 0; pushed < 200_000; pushed += 100) linesOf(splitter, 'x'.repeat(100));
  t.true(splitter.heldBytes <= 2 * 64 * 1024);
  const slowly = new LineSplitter(8192);
  for (let pushed = 0; pushed < 8192; pushed += 1) linesOf(slowly, 'x');
  t.true(slowly.heldBytes <= 2 * 8192);
  t.deepEqual(linesOf(slowly, '\n'), ['x'.repeat(8192)]);
  t.is(slowly.heldBytes, 0);
});
