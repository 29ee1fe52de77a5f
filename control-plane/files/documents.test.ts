import test from 'ava';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { DocumentReader } from './documents.ts';
import type { DocumentsRead } from './parse-documents.ts';
import { createParser } from './parser.ts';

const parse = createParser(new AbortController().signal);

async function read(text: string): Promise<DocumentsRead> {
  return new DocumentReader(parse).read(text);
}

test('several documents, each with the line it begins in', async (t) => {
  t.deepEqual(await read('# hello\na: 1\n---\n# more\n\nb: 2\n--- # and\nc: 3\n'), {
    objects: [
      { object: { a: 1 }, line: 2 },
      { object: { b: 2 }, line: 6 },
      { object: { c: 3 }, line: 8 },
    ],
    problems: [],
  });
});

test('empty documents are nothing', async (t) => {
  for (const text of ['', '\n', '# only words\n', '---\n', '---\n---\n', '---\nnull\n', '...\n', '\uFEFF']) {
    t.deepEqual(await read(text), { objects: [], problems: [] }, JSON.stringify(text));
  }
});

test('Windows line ends, a byte order mark, a document end', async (t) => {
  t.deepEqual((await read('\uFEFFa: 1\r\n---\r\nb: 2\r\n...\r\nc: 3\r\n')).objects, [
    { object: { a: 1 }, line: 1 },
    { object: { b: 2 }, line: 3 },
    { object: { c: 3 }, line: 5 },
  ]);
});

test('a directive belongs to the document below it', async (t) => {
  t.deepEqual((await read('%YAML 1.2\n---\na: 1\n---\nb: 2\n')).objects, [
    { object: { a: 1 }, line: 3 },
    { object: { b: 2 }, line: 5 },
  ]);
});

test('JSON is YAML', async (t) => {
  t.deepEqual((await read('{"a": {"b": [1, true, null]}}')).objects, [
    { object: { a: { b: [1, true, null] } }, line: 1 },
  ]);
});

test('lists are unpacked, each item with its line', async (t) => {
  const text = 'apiVersion: v1\nkind: List\nitems:\n  - a: 1\n  -\n    b: 2\n---\nc: 3\n';
  t.deepEqual((await read(text)).objects, [
    { object: { a: 1 }, line: 4 },
    { object: { b: 2 }, line: 6 },
    { object: { c: 3 }, line: 8 },
  ]);
});

test('anchors and merge keys', async (t) => {
  t.deepEqual((await read('a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n')).objects, [
    { object: { a: { x: 1 }, b: { x: 1 }, c: { x: 1, y: 2 } }, line: 1 },
  ]);
});

test('a broken document is told with its place and swallows no other', async (t) => {
  t.deepEqual(await read('a: 1\n---\nb: "never closed\n---\nc: 3\n---\nd: [1\n'), {
    objects: [
      { object: { a: 1 }, line: 1 },
      { object: { c: 3 }, line: 5 },
    ],
    problems: [
      { line: 4, column: 1, problem: 'is no valid YAML here: Missing closing "quote' },
      {
        line: 8,
        column: 1,
        problem:
          'is no valid YAML here: Flow sequence in block collection must be sufficiently indented and end with a ]',
      },
    ],
  });
});

test('the same key twice is a mistake', async (t) => {
  t.deepEqual((await read('a: 1\na: 2\n')).problems, [
    { line: 2, column: 1, problem: 'is no valid YAML here: Map keys must be unique' },
  ]);
});

test('an alias bomb is refused and nothing is built of it', async (t) => {
  const levels = Array.from(
    { length: 30 },
    (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(10)}]`,
  );
  t.deepEqual(await read(`ok: 1\n---\na0: &a0 [x]\n${levels.join('\n')}\n`), {
    objects: [{ object: { ok: 1 }, line: 1 }],
    problems: [
      {
        line: 3,
        column: 1,
        problem: 'repeats its anchors more than 1000 times: write out what they stand for',
      },
    ],
  });
});

test('an alias of nothing, and nesting without end', async (t) => {
  t.is((await read('a: *nothing\n')).problems.length, 1);
  t.is((await read('['.repeat(100_000))).problems.length, 1);
  t.is((await read(`${'['.repeat(5_000)}${']'.repeat(5_000)}`)).objects.length, 0);
});

test('documents that stay the same keep their objects, wherever they move to', async (t) => {
  const reader = new DocumentReader(parse);
  const [a, b] = (await reader.read('---\na: 1\n---\nb: 1\n')).objects;
  const [added, sameA, otherB] = (await reader.read('new: 1\n---\na: 1\n---\nb: 2\n')).objects;
  t.is(added?.line, 1);
  t.is(sameA?.object, a?.object);
  t.is(sameA?.line, 3);
  t.not(otherB?.object, b?.object);
});

test('whatever the text is, reading it does not throw', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
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
      '<<: ',
      '\t',
    ),
    fc.string({ maxLength: 5 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 30 }),
      async (pieces) => void (await read(pieces.join(''))),
    ),
  );
  t.pass();
});

const QUOTED_KEYS = { defaultKeyType: 'QUOTE_DOUBLE' } as const;

test('what is written is read, and what is broken beside it does no harm', async (t) => {
  const key = fc.oneof(fc.string(), fc.constant('<<'));
  const anyObject = fc.dictionary(key, fc.jsonValue(), { minKeys: 1, noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(fc.array(anyObject, { maxLength: 5 }), fc.nat(5), async (objects, broken) => {
      // Quoted: a plain << would be a merge key.
      const documents: string[] = objects.map((object) => stringify({ object }, QUOTED_KEYS));
      documents.splice(broken, 0, 'broken: "never closed\n');
      const result = await read(documents.join('---\n'));
      t.deepEqual(
        result.objects.map(({ object }) => JSON.stringify(object)),
        objects.map((object) => JSON.stringify({ object })),
      );
      t.is(result.problems.length, 1);
    }),
  );
});
