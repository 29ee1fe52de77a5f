import test from 'ava';
import { array, assert, nat, property, string } from 'fast-check';
import { LineSplitter } from './line-splitter.ts';

test('however the bytes are cut, the lines are the same', (t) => {
  assert(
    property(
      array(string({ unit: 'grapheme', minLength: 1 }).filter((line) => !line.includes('\n'))),
      array(nat(40)),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const splitter = new LineSplitter(1_000_000);
        const seen: string[] = [];
        let begin = 0;
        for (const cut of [...cuts, bytes.length]) {
          seen.push(...splitter.push(bytes.subarray(begin, begin + cut)));
          begin += cut;
        }
        seen.push(...splitter.push(bytes.subarray(begin)));
        t.deepEqual(seen, lines);
      },
    ),
  );
});

test('a line that has no end yet is not told, and an empty one never', (t) => {
  const splitter = new LineSplitter(100);
  t.deepEqual(splitter.push(Buffer.from('\n{"a":1}\n\n{"b"')), ['{"a":1}']);
  t.deepEqual(splitter.push(Buffer.from(':2}\n')), ['{"b":2}']);
});

test('a line that never ends is not kept', (t) => {
  const splitter = new LineSplitter(10);
  splitter.push(Buffer.alloc(10, 'a'));
  t.throws(() => splitter.push(Buffer.alloc(1, 'a')), { message: 'a line is longer than 10 bytes' });
});
