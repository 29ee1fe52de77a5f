import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import { inputs } from '../../test/kubectl-reader/inputs.ts';
import { listDirectory } from './directory.ts';
import { parseDocuments } from './parse-documents.ts';
import { readText } from './read-file.ts';

/** What kubectl's reader makes of a file: see test/kubectl-reader/generate.ts. */
interface Golden {
  readonly documents: readonly unknown[];
  readonly error?: string;
}

const golden = JSON.parse(
  readFileSync(new URL('../../test/kubectl-reader/golden.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, Golden>>;

/** Read all the same, since there is no doubt about what they mean. */
const LENIENT: ReadonlySet<string> = new Set([
  'nothing: blanks',
  'tab on a blank line',
  'surrogate pair in YAML',
]);

/** The objects of a file; undefined where it is rejected, as kubectl rejects a document that is no object. */
function parse(text: string): readonly unknown[] | undefined {
  const { objects, problems } = parseDocuments(text);
  const lines = objects.split('\n').filter((line) => line !== '');
  const documents = lines.map((line) => JSON.parse(line.slice(line.indexOf(' ') + 1)) as unknown);
  return problems.length === 0 && documents.every(isObject) ? documents : undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

test('given any file, reads what kubectl reads or rejects it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cortexflow-reader-'));
  const path = join(directory, 'a.yaml');
  const wrong: unknown[] = [];
  let rejected = 0;
  for (const [name, bytes] of inputs()) {
    await writeFile(path, bytes);
    const found = (await listDirectory(directory))?.files.get('a.yaml');
    if (found === undefined) throw new Error('the file was not found');
    const read = await readText(path, found);
    const documents = read.outcome === 'read' ? parse(read.text) : undefined;
    const { documents: expected = [], error } = golden[name] ?? {};
    const isRejected = error !== undefined || !expected.every(isObject);
    if (documents === undefined) rejected += isRejected ? 0 : 1;
    else if (LENIENT.has(name) ? !isRejected : isRejected || !isDeepStrictEqual(documents, expected)) {
      wrong.push({ name, documents, expected, error });
    }
  }
  await rm(directory, { recursive: true });
  t.deepEqual(wrong, []);
  t.log(`${rejected} rejected although kubectl reads them`);
  t.true(rejected < 60);
});
