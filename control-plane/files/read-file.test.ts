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

test('given UTF-16 with its mark, reads it; given neither encoding, names the line', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cortexflow-read-'));
  const path = join(directory, 'a.yaml');
  const read = async (bytes: Buffer): Promise<unknown> => {
    await writeFile(path, bytes);
    const found = (await listDirectory(directory))?.files.get('a.yaml');
    return found && readText(path, found);
  };
  const little = Buffer.from('\ufeffa: é\n', 'utf16le');
  t.deepEqual(await read(little), { outcome: 'read', text: 'a: é\n' });
  t.deepEqual(await read(little.swap16()), { outcome: 'read', text: 'a: é\n' });
  const unreadable = { outcome: 'unreadable', mayPass: false };
  t.deepEqual(await read(Buffer.from('a: 1\nb: 2\nc: \xff\n', 'latin1')), {
    ...unreadable,
    problem: 'is not UTF-8 text in line 3: save it as UTF-8',
  });
  t.deepEqual(await read(Buffer.from([0xff, 0xfe, 0x61])), {
    ...unreadable,
    problem: 'is not utf-16le text, as its first bytes say: save it as UTF-8',
  });
  await rm(directory, { recursive: true });
});
