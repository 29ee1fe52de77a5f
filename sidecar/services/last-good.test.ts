import test from 'ava';
import * as fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../../process/log.ts';
import type { LastGood, StoredType } from './last-good-file.ts';
import { formatLastGood, parseLastGood } from './last-good-file.ts';
import type { LastGoodWriterOptions } from './last-good.ts';
import { LastGoodWriter, loadLastGood, writeAtomically } from './last-good.ts';

const folder = await mkdtemp(join(tmpdir(), 'cortexflow-last-good-'));
test.after.always(() => rm(folder, { recursive: true }));

const types: readonly StoredType[] = [
  {
    typeUrl: 'type.googleapis.com/some.Kind',
    answered: ['*'],
    resources: [
      { name: 'demo/hello', version: 'v1', bytes: Buffer.from([0, 1, 2, 255]) },
      { name: 'demo/größe', version: '', bytes: Buffer.alloc(0) },
    ],
  },
];
const lastGood: LastGood = { savedMs: 1_700_000_000_000, types };

function collectingLog(lines: string[]): Logger {
  const logger: Logger = {
    error: (message) => lines.push(`error ${message}`),
    warn: (message) => lines.push(`warn ${message}`),
    info: (message) => lines.push(`info ${message}`),
    debug: () => undefined,
    isEnabled: () => true,
    with: () => logger,
  };
  return logger;
}

test('what was written is read', async (t) => {
  const path = join(folder, 'new folder', 'good');
  await writeAtomically(path, formatLastGood(lastGood));
  t.deepEqual(await loadLastGood(path), { kind: 'loaded', lastGood });
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.deepEqual(await readdir(join(folder, 'new folder')), ['good'], 'no temporary file stays');
});

test('no file is no failure', async (t) => {
  t.deepEqual(await loadLastGood(join(folder, 'none')), { kind: 'none' });
});

test('a file that is of no use is put aside, with the reason', async (t) => {
  const good = formatLastGood(lastGood);
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['foreign', 'apiVersion: v1\nkind: Service\n', /foreign is not a last good table\./u],
    ['empty', '', /empty is not a last good table\./u],
    ['truncated', good.slice(0, -10), /truncated is damaged: its checksum/u],
    [
      'newer',
      good.replace('"version":1', '"version":2'),
      /newer has format 2, and this sidecar reads format 1\./u,
    ],
  ];
  for (const [name, content, expected] of cases) {
    const path = join(folder, name);
    await writeFile(path, content);
    const loaded = await loadLastGood(path);
    t.regex(loaded.kind === 'unusable' ? loaded.why : loaded.kind, expected);
    t.is(await readFile(`${path}.unusable`, 'utf8'), content);
    t.deepEqual(await loadLastGood(path), { kind: 'none' });
  }
  t.is((await loadLastGood(folder)).kind, 'unusable', 'a directory');
});

test('truncated or altered anywhere, it is read as it was or not at all', (t) => {
  const good = Buffer.from(formatLastGood(lastGood));
  const edit = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 3 }), fc.nat(good.length), (edits, length) => {
      const bytes = Buffer.from(good.subarray(0, length));
      for (const [at, flip] of edits) {
        bytes[at] = (bytes[at] ?? 0) ^ flip;
      }
      const parsed = parseLastGood(bytes.toString('utf8'));
      t.true(!parsed.ok || isSame(parsed.lastGood), bytes.toString());
    }),
    { numRuns: 2000 },
  );
});

function isSame(other: LastGood): boolean {
  return formatLastGood(other) === formatLastGood(lastGood);
}

/** A writer whose timers run when told to. */
function writerTo(
  path: string,
  write: (path: string, content: string) => Promise<void>,
  options: Partial<LastGoodWriterOptions> = {},
) {
  const lines: string[] = [];
  const timers: { delayMs: number; run: () => void }[] = [];
  const writer = new LastGoodWriter({
    path,
    collect: () => types,
    write,
    schedule: (delayMs, run) => {
      const timer = { delayMs, run };
      timers.push(timer);
      return () => {
        timers.splice(timers.indexOf(timer), 1);
      };
    },
    now: () => lastGood.savedMs,
    log: collectingLog(lines),
    ...options,
  });
  return { writer, lines, timers };
}

test('changes are written together, and what is left of them at the end', async (t) => {
  const path = join(folder, 'written');
  let writes = 0;
  const { writer, timers } = writerTo(path, async (to, content) => {
    writes += 1;
    await writeAtomically(to, content);
  });
  await writer.close();
  t.is(writes, 0, 'nothing changed');

  const other = writerTo(path, writeAtomically);
  other.writer.changed();
  other.writer.changed();
  t.is(other.timers.length, 1);
  await other.writer.close();
  t.is(other.timers.length, 0);
  t.is(other.writer.savedMs, lastGood.savedMs);
  t.deepEqual(await loadLastGood(path), { kind: 'loaded', lastGood });
  t.is(timers.length, 0);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a full disk is one warning, is counted, and is tried again', async (t) => {
  let full = true;
  const path = join(folder, 'full');
  const { writer, lines, timers } = writerTo(path, (to, content) =>
    full ? writeFile('/dev/full', content) : writeAtomically(to, content),
  );
  const runTimer = async (): Promise<number> => {
    const timer = timers.shift();
    timer?.run();
    while (timers.length === 0 && writer.savedMs === undefined) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    return timer?.delayMs ?? 0;
  };
  writer.changed();
  const first = await runTimer();
  const second = await runTimer();
  t.is(writer.failures, 2);
  t.true(second > first, 'it waits longer after a failure');
  t.is(lines.filter((line) => line.startsWith('warn')).length, 1);
  full = false;
  await runTimer();
  await writer.close();
  t.is(lines.at(-1), 'info Saved the last good table again');
  t.is((await loadLastGood(path)).kind, 'loaded');
});

test('a folder that cannot be is a warning and nothing more', async (t) => {
  const file = join(folder, 'a file');
  await writeFile(file, '');
  const { writer, lines } = writerTo(join(file, 'good'), writeAtomically);
  writer.changed();
  await writer.close();
  t.is(writer.failures, 1);
  t.deepEqual(lines, [
    'warn Could not save the last good table; a restart without a control plane would start without it',
  ]);
});

test('what lies where the temporary file goes is not written to', async (t) => {
  const path = join(folder, 'linked');
  const victim = join(folder, 'victim');
  await writeFile(victim, 'precious');
  await symlink(victim, `${path}.new`);
  await writeAtomically(path, 'content');
  t.is(await readFile(victim, 'utf8'), 'precious');
  t.is(await readFile(path, 'utf8'), 'content');
});

test('three of them fit into the volume of a pod: a larger one is neither read nor moved', async (t) => {
  const path = join(folder, 'huge');
  await writeFile(path, '');
  await truncate(path, Math.floor((128 * 1024 * 1024) / 3));
  const loaded = await loadLastGood(path);
  t.regex(loaded.kind === 'unusable' ? loaded.why : loaded.kind, / has \d+ bytes, more than \d+\.$/u);
  t.is((await stat(path)).size, Math.floor((128 * 1024 * 1024) / 3));
});

test('what would not be read is not written', async (t) => {
  let writes = 0;
  const count = (): Promise<void> => {
    writes += 1;
    return Promise.resolve();
  };
  const { writer, lines } = writerTo(join(folder, 'large'), count, { maxBytes: 10 });
  writer.changed();
  await writer.close();
  t.is(writes, 0);
  t.is(writer.failures, 1);
  t.is(lines.length, 1);
});

test('the longer it takes to serialise, the more seldom it is done', async (t) => {
  let now = 0;
  const collect = (): typeof types => {
    now += 50;
    return types;
  };
  const { writer, timers } = writerTo(join(folder, 'slow'), () => Promise.resolve(), {
    collect,
    now: () => now,
  });
  writer.changed();
  timers.shift()?.run();
  while (writer.savedMs === undefined) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  writer.changed();
  t.is(timers[0]?.delayMs, 5000);
  await writer.close();
});
