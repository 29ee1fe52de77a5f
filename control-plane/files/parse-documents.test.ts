import test from 'ava';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import type { SyntaxProblem } from './cut.ts';
import { parseDocuments } from './parse-documents.ts';

interface Located {
  readonly object: unknown;
  readonly line: number;
}

function read(text: string): {
  readonly objects: readonly Located[];
  readonly problems: readonly SyntaxProblem[];
} {
  const { objects, problems } = parseDocuments(text);
  const lines = objects.split('\n').filter((line) => line !== '');
  return {
    objects: lines.map((line) => {
      const space = line.indexOf(' ');
      return { object: JSON.parse(line.slice(space + 1)) as unknown, line: Number(line.slice(0, space)) };
    }),
    problems,
  };
}

function problemsOf(text: string): readonly string[] {
  return read(text).problems.map(({ line, column, problem }) => `${line}:${column} ${problem}`);
}

test('given several documents, tells the line that each begins in', (t) => {
  t.deepEqual(read('# hello\na: 1\n---\n# more\n\nb: 2\n--- # and\r\nc: 3\n').objects, [
    { object: { a: 1 }, line: 2 },
    { object: { b: 2 }, line: 6 },
    { object: { c: 3 }, line: 8 },
  ]);
});

test('given JSON values one after another, tells the line that each begins in', (t) => {
  t.deepEqual(read('\n{"a": 1}\n\n{"b":\n 2} {"c": 3}\n').objects, [
    { object: { a: 1 }, line: 2 },
    { object: { b: 2 }, line: 4 },
    { object: { c: 3 }, line: 5 },
  ]);
  t.deepEqual(read('{"a": 1}\n---\n\nb: 2\n').objects, [
    { object: { a: 1 }, line: 1 },
    { object: { b: 2 }, line: 4 },
  ]);
  t.deepEqual(problemsOf('{"a": 1}\n{"b": 2}\n{"c": \n'), [
    '3:1 is no valid JSON, though what stands above it is: mend it, or write a line with --- between all',
  ]);
});

test('given lists within lists, unpacks all with the line of each item', (t) => {
  const text = `apiVersion: v1
kind: List
items:
  - a: 1
  - apiVersion: v1
    kind: ServiceList
    items:
      - b: 2
      - apiVersion: v1
        kind: List
        items:
          - c: 3
---
d: 4
`;
  t.deepEqual(read(text).objects, [
    { object: { a: 1 }, line: 4 },
    { object: { apiVersion: 'v1', kind: 'Service', b: 2 }, line: 8 },
    { object: { c: 3 }, line: 12 },
    { object: { d: 4 }, line: 14 },
  ]);
});

test('a broken document is named with its place and swallows no other', (t) => {
  const { objects } = read('a: 1\n---\nb: "never closed\n---\nc: 3\n');
  t.deepEqual(objects, [
    { object: { a: 1 }, line: 1 },
    { object: { c: 3 }, line: 5 },
  ]);
  t.deepEqual(problemsOf('a: 1\n---\nb: "never closed\n---\nc: 3\n'), [
    '4:1 is no valid YAML here: Missing closing "quote',
  ]);
});

test('given what kubectl refuses or leaves out, says where and what to do', (t) => {
  const problems: Readonly<Record<string, string>> = {
    'a: 1\n--- {b: 2}\n': '2:4 is text behind ---, which kubectl refuses: move it to the next line',
    'a: 1\n...\nb: 2\n': '3:1 is a second document, which kubectl leaves out: write a line with --- above it',
    '...\nb: 2\n': '1:1 is the end of a document (...) that has not begun: remove it',
    'a: 1\nb: x\0y\n':
      '2:5 has the character U+0000, which YAML does not allow here: remove it, or write it as an escape in double quotes',
    'a:\n  b: .inf\n': '2:6 is infinite or no number, which JSON cannot hold: write a number, or quote it',
    'a: 1\n~: 2\n': '2:1 has a key that is neither text nor a whole number: quote it',
    'a: *b\n': '1:4 has the alias *b and no anchor &b above it: add one',
    'a: &a [*a]\n': '1:8 has the alias *a within its own anchor: write out what it stands for',
    'a: {<<: 1}\n':
      '1:9 merges (<<) something that is no map: name a map, an alias of one, or a list of them',
    'a: !!binary aGVsbG8=\n': '1:13 has the tag !!binary: remove it, and quote what is text',
  };
  for (const [text, problem] of Object.entries(problems)) t.deepEqual(problemsOf(text), [problem], text);
});

const bomb = (collection: (below: string) => string): string =>
  Array.from({ length: 30 }, (_, level) => {
    return `a${level + 1}: &a${level + 1} ${collection(`*a${level},`.repeat(10).slice(0, -1))}\n`;
  }).join('');

test('given aliases that stand for too much, refuses the document and builds nothing', (t) => {
  t.regex(
    problemsOf(`ok: 1\n---\na0: &a0 [x]\n${bomb((below) => `[${below}]`)}`).join(),
    /^\d+:\d+ repeats its anchors too often: write out what they stand for$/,
  );
  t.regex(problemsOf(`a0: &a0 {x: 1}\n${bomb((below) => `{<<: [${below}]}`)}`).join(), /anchors too often/);
  const large = `a: &a ${'x'.repeat(1 << 20)}\nb: [${'*a,'.repeat(90)}]\n`;
  t.regex(problemsOf(large).join(), /stands for more than 16777216 bytes with its aliases: split it/);
});

test('given nesting without end, refuses it', (t) => {
  for (const text of [
    '['.repeat(5_000) + ']'.repeat(5_000),
    '{a: '.repeat(5_000) + '}'.repeat(5_000),
    `${'- '.repeat(5_000)}a`,
  ]) {
    t.regex(problemsOf(text).join(), /nested more than 200 levels deep/);
  }
});

test('given more than a file may come to, takes whole documents up to that', (t) => {
  const limits = { objects: 3, bytes: 100, objectBytes: 50 };
  const problemOf = (text: string): string | undefined => parseDocuments(text, limits).problems[0]?.problem;
  t.is(problemOf('a: 1\n---\nb: 1\n---\nc: 1\n'), undefined);
  t.is(problemOf('a: 1\n---\nb: 1\n---\nc: 1\n---\nd: 1\n'), 'is more than 3 objects in one file: split it');
  t.is(
    problemOf(`a: ${'x'.repeat(60)}\n`),
    'has an object of 68 bytes, and Kubernetes takes 50: make it smaller',
  );
  const long = `a: ${'x'.repeat(40)}\n`;
  t.is(problemOf([long, long, long].join('---\n')), 'is more than 100 bytes of JSON in one file: split it');
  t.is(problemsOf('a: "\n---\n'.repeat(1_000)).length, 20);
});

test('given any text, does not throw', (t) => {
  const pieces = [
    '---\n',
    '--- ',
    '...\n',
    '%',
    '\n',
    '  ',
    '- ',
    'a: ',
    '"',
    "'",
    '[',
    '{',
    '|\n',
    '&a ',
    '*a',
  ];
  const piece = fc.oneof(
    fc.constantFrom(...pieces, '<<: ', '\t', '? ', '!!str '),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (texts) => void parseDocuments(texts.join(''))),
    { numRuns: 300 },
  );
  t.pass();
});

test('given what was written as YAML or JSON, reads the same, whatever is broken beside it', (t) => {
  const anyObject = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1, noNullPrototype: true });
  const property = fc.property(fc.array(anyObject, { maxLength: 5 }), fc.nat(5), (objects, broken) => {
    const json = objects.map((object) => JSON.stringify({ object }));
    const yaml = objects.map((object) => stringify({ object }, { defaultStringType: 'QUOTE_DOUBLE' }));
    yaml.splice(broken, 0, 'broken: "never closed\n');
    const result = read(yaml.join('---\n'));
    t.deepEqual(
      result.objects.map(({ object }) => JSON.stringify(object)),
      json,
    );
    t.is(result.problems.length, 1);
    t.deepEqual(
      read(json.join('\n')).objects.map(({ object }) => JSON.stringify(object)),
      json,
    );
  });
  fc.assert(property, { numRuns: 200 });
});
