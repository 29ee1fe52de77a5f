import { appendFile, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { listDirectory } from './directory.ts';
import { readText } from './read-file.ts';

test('a file that is not what was found is not taken for it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cortexflow-read-'));
  const path = join(directory, 'a.yaml');
  await writeFile(path, 'a: 1\n');
  const found = (await listDirectory(directory))?.files.get('a.yaml');
  if (found === undefined) throw new Error('the file was not found');
  t.deepEqual(await readText(path, found), { outcome: 'read', text: 'a: 1\n' });
  await appendFile(path, 'b: 2\n');
  t.deepEqual(await readText(path, found), { outcome: 'changed' });
  await unlink(path);
  t.deepEqual(await readText(path, found), { outcome: 'changed' });
  await rm(directory, { recursive: true });
});
