import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { listDirectory, MOST_DIRECTORIES } from './directory.ts';

test('given folders that all link to each other, enters a bounded number of them', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'cortexflow-links-'));
  const names = Array.from({ length: 12 }, (_, index) => `d${index}`);
  for (const name of names) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'a.yaml'), 'a: 1\n');
  }
  for (const name of names)
    for (const other of names) await symlink(`../${other}`, join(root, name, `to-${other}`));
  const listing = await listDirectory(root);
  t.true((listing?.directories.size ?? 0) <= MOST_DIRECTORIES, String(listing?.directories.size));
  t.is(
    listing?.unreadable.get(''),
    'has more than 10000 files or 1000 folders, which symbolic links may multiply: make it smaller',
  );
  await rm(root, { recursive: true });
});
