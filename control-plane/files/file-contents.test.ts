import test from 'ava';
import { createLogger } from '../../process/log.ts';
import { FileContents } from './file-contents.ts';

const LIMIT = 400_000;

function contents(): FileContents {
  const logger = createLogger({
    format: 'json',
    level: () => 'error',
    now: () => new Date(),
    write: () => {},
  });
  return new FileContents({ directory: '/mesh', logger, mostBytesTogether: LIMIT });
}

/** What a file of some 300,000 bytes of JSON was read as. */
function large(name: string): { objects: string; problems: [] } {
  const objects = Array.from({ length: 10 }, (_, at) => {
    const metadata = { name: `${name}-${at}`, namespace: 'demo', annotations: { note: 'x'.repeat(30_000) } };
    return `1 ${JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata })}\n`;
  });
  return { objects: objects.join(''), problems: [] };
}

function text(signal = new AbortController().signal) {
  return { digest: 'some', isFinal: true, signal };
}

test('given two files at the same time that fit only one by one, has room for one', async (t) => {
  const files = contents();
  const set = [files.set('a.yaml', large('a'), text()), files.set('b.yaml', large('b'), text())];
  t.deepEqual(await Promise.all(set), [true, false]);
  t.is(files.takeEvents().length, 10);
  files.remove('a.yaml');
  t.true(await files.set('b.yaml', large('b'), text()));
});

test('given a file with a newer version while it is built, gives its room back', async (t) => {
  const files = contents();
  const replaced = new AbortController();
  const first = files.set('a.yaml', large('a'), text(replaced.signal));
  replaced.abort();
  await first;
  t.deepEqual(files.takeEvents(), []);
  t.true(await files.set('b.yaml', large('b'), text()));
});
