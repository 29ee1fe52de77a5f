import test from 'ava';
import { stringify } from 'yaml';
import { parseDocuments } from './parse-documents.ts';
import { createParser } from './parser.ts';

const items = Array.from({ length: 2_000 }, (_, index) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: `service-${index}` },
  spec: { ports: [{ port: 80 }] },
}));
const list = { apiVersion: 'v1', kind: 'List', items };
const parse = createParser(new AbortController().signal);

/** How often the event loop came round before `work` was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const turn = (): void => {
    turns += 1;
    if (!isDone) setTimeout(turn);
  };
  turn();
  await work;
  isDone = true;
  return turns;
}

test.serial('a long document is read as any other, and meanwhile the event loop goes on', async (t) => {
  const text = stringify(list);
  const reading = parse(text);
  t.true((await turnsDuring(reading)) > 20);
  t.deepEqual(await reading, parseDocuments(text));
});

test.serial('long JSON is read without its lines', async (t) => {
  t.deepEqual(await parse(`\n\n${JSON.stringify(list)}\n`), {
    objects: items.map((object) => ({ object, line: 3 })),
    problems: [],
  });
});

test.serial('what only begins as JSON is read as YAML, and its mistakes have their places', async (t) => {
  const padding = `\n#${' '.repeat(100_000)}\n`;
  t.deepEqual(await parse(`{a: 1}${padding}`), { objects: [{ object: { a: 1 }, line: 1 }], problems: [] });
  const { problems } = await parse(`${padding}{"a": [}\n`);
  t.deepEqual(
    problems.map(({ line }) => line),
    [3],
  );
});

test.serial('what needs more memory than there is fails alone', async (t) => {
  const read = await createParser(new AbortController().signal, 16)(stringify(list));
  t.deepEqual(read, {
    objects: [],
    problems: [
      {
        line: 1,
        column: 1,
        problem: 'needs too much memory to be parsed: split the document, or write it as JSON',
      },
    ],
  });
});

test.serial('nothing is waited for once it is no longer wanted', async (t) => {
  const closing = new AbortController();
  const parseUntil = createParser(closing.signal);
  const reading = parseUntil(stringify(list));
  setTimeout(() => closing.abort(), 10);
  t.deepEqual(await reading, { objects: [], problems: [] });
  t.deepEqual(await parseUntil(stringify(list)), { objects: [], problems: [] });
  t.false(process.getActiveResourcesInfo().includes('MessagePort'));
});
