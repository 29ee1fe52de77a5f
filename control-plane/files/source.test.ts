import {
  appendFile,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import * as fc from 'fast-check';
import type { Fields, Level, Logger } from '../../process/log.ts';
import { until } from '../../test/until.ts';
import { apply } from '../mesh/apply.ts';
import { formatRejection } from '../mesh/rejection.ts';
import type { MeshEvent, MeshState } from '../mesh/state.ts';
import { EMPTY_STATE } from '../mesh/state.ts';
import type { FilesSource, FilesSourceOptions } from './source.ts';
import { createFilesSource } from './source.ts';

interface Line {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

function recordingLogger(lines: Line[]): Logger {
  const log =
    (level: Level) =>
    (message: string, fields: Fields = {}): void =>
      void lines.push({ level, message, fields });
  const logger: Logger = {
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: log('debug'),
    isEnabled: () => true,
    with: () => logger,
  };
  return logger;
}

/**
 * Where the operating system is known to tell of everything, nothing is found by looking untold. FSEvents
 * loses what happens while a watch begins.
 */
const TOLD_ONLY_MS = process.platform === 'linux' ? 3_600_000 : 500;

/** A real folder with a source on it, and the state that its events add up to. */
class Folder {
  readonly path: string;
  readonly lines: Line[] = [];
  readonly history: string[] = [];
  source: FilesSource | undefined;
  state: MeshState = EMPTY_STATE;

  constructor(path: string) {
    this.path = path;
  }

  async open(options: Partial<FilesSourceOptions> = {}): Promise<void> {
    this.state = EMPTY_STATE;
    this.source = createFilesSource({
      directory: this.path,
      logger: recordingLogger(this.lines),
      onEvents: (events: readonly MeshEvent[]) => {
        this.state = apply(this.state, events).state;
        this.history.push(`events: ${this.services.join(' ')}`);
      },
      onSynced: (known) => this.history.push(known === 'all' ? 'synced' : 'synced in part'),
      settleMs: 30,
      emptySettleMs: 60,
      rescanMs: 200,
      startMs: 3_600_000,
      ...options,
    });
    const started = await this.source.start();
    if (started.outcome === 'failed') throw new Error(started.problem);
  }

  async openAndSync(options: Partial<FilesSourceOptions> = {}): Promise<void> {
    await this.open(options);
    await this.untilSynced();
  }

  async untilSynced(how = 'synced'): Promise<void> {
    await until(
      `${how} in ${this.path}`,
      () => this.history,
      (history) => history.includes(how),
    );
  }

  async close(): Promise<void> {
    await this.source?.close();
    this.history.length = 0;
  }

  async untilServices(...expected: string[]): Promise<void> {
    await until(
      `the Services ${expected.join(' ')}`,
      () => this.services,
      (services) => services.join(' ') === expected.join(' '),
    );
  }

  async untilRejected(t: ExecutionContext, ...expected: string[]): Promise<void> {
    await until(
      `${expected.length} rejections`,
      () => this.rejections,
      (rejections) => rejections.length === expected.length,
    );
    t.deepEqual(
      this.rejections,
      expected.map((text) => text.replaceAll('DIR', this.path)),
    );
  }

  /** Every Service as `namespace/name:port`. */
  get services(): readonly string[] {
    return [...this.state.services]
      .map(([name, { ports }]) => `${name}:${ports.map(({ port }) => port).join(',')}`)
      .toSorted();
  }

  get slices(): readonly string[] {
    const slices = [...this.state.slices.values()].flatMap((own) => Array.from(own.values()));
    return slices.map((slice) => JSON.stringify(slice)).toSorted();
  }

  get rejections(): readonly string[] {
    return this.source?.rejections().map(formatRejection).toSorted() ?? [];
  }

  /** As most editors save: at no moment is the file empty, however busy the machine is. */
  async write(file: string, text: string | Buffer): Promise<void> {
    const aside = join(dirname(file), `.${basename(file)}.swp`);
    await this.writeInPlace(aside, text);
    await rename(join(this.path, aside), join(this.path, file));
  }

  async writeInPlace(file: string, text: string | Buffer): Promise<void> {
    const path = join(this.path, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  /** After this, everything that was there before has been looked at. */
  async lookedAt(): Promise<void> {
    await this.write('marker.yaml', service('marker'));
    await this.untilMarked(true);
    await unlink(join(this.path, 'marker.yaml'));
    await this.untilMarked(false);
  }

  async untilMarked(isThere: boolean): Promise<void> {
    await until(
      `the marker ${isThere ? 'is there' : 'is gone'}`,
      () => this.services,
      (services) => services.includes('default/marker:80') === isThere,
    );
  }
}

function service(name: string, port = 80): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: ${port}}]}\n`;
}

function serviceAndSlice(name: string, port: number): string {
  return `${service(name, port)}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{port: ${port}}]
endpoints: [{addresses: [10.0.${port % 7}.1]}]
`;
}

/** Serial, since the end of each asserts that nothing is watched any more. */
function folderTest(title: string, run: (t: ExecutionContext, folder: Folder) => Promise<void>): void {
  test.serial(title, async (t) => {
    const folder = new Folder(await mkdtemp(join(tmpdir(), 'cortexflow-files-')));
    try {
      await run(t, folder);
    } finally {
      await folder.close();
      await rm(folder.path, { recursive: true, force: true });
    }
    t.deepEqual(
      process.getActiveResourcesInfo().filter((resource) => resource.startsWith('FSEvent')),
      [],
    );
  });
}

folderTest('everything there is at the start, in one batch, then synced', async (t, folder) => {
  await folder.write('a.yaml', `${service('a')}---\n${service('b')}`);
  await folder.write('c.yml', service('c'));
  await folder.write(
    'd.json',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'd' },
      spec: { ports: [{ port: 80 }] },
    }),
  );
  await folder.write('deep/er/e.yaml', service('e'));
  await folder.write('.hidden.yaml', service('hidden'));
  await folder.write('.git/f.yaml', service('git'));
  await folder.write('README.md', 'a: [');
  await folder.write('a.yaml~', service('backup'));
  await folder.write('empty.yaml', '');
  await folder.openAndSync();
  t.deepEqual(folder.history, [
    'events: default/a:80 default/b:80 default/c:80 default/d:80 default/e:80',
    'synced',
  ]);
  t.deepEqual(folder.rejections, []);
});

folderTest('an empty folder is a mesh without Services', async (t, folder) => {
  await folder.openAndSync();
  t.deepEqual(folder.history, ['synced']);
});

folderTest('a folder that is not there is one sentence', async (t, folder) => {
  const missing = new Folder(join(folder.path, 'missing'));
  await t.throwsAsync(missing.openAndSync(), {
    message: `The directory ${missing.path} does not exist: create it or name another one`,
  });
  await folder.write('file', '');
  const file = new Folder(join(folder.path, 'file'));
  await t.throwsAsync(file.openAndSync(), {
    message: `The directory ${file.path} is not a directory: name the directory that the files are in`,
  });
  await missing.close();
  await file.close();
});

folderTest('files come, change in place, are renamed over, and go', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync({ rescanMs: TOLD_ONLY_MS });
  await folder.write('b.yaml', service('b'));
  await folder.untilServices('default/a:80', 'default/b:80');
  await folder.writeInPlace('a.yaml', service('a', 81));
  await folder.untilServices('default/a:81', 'default/b:80');
  await folder.write('a.yaml', service('a', 82));
  await folder.untilServices('default/a:82', 'default/b:80');
  await folder.write('new/directory/c.yaml', service('c'));
  await folder.untilServices('default/a:82', 'default/b:80', 'default/c:80');
  await folder.write('new/directory/c.yaml', service('c', 83));
  await folder.untilServices('default/a:82', 'default/b:80', 'default/c:83');
  await rm(join(folder.path, 'new'), { recursive: true });
  await folder.write('new/directory/c.yaml', service('c', 84));
  await folder.untilServices('default/a:82', 'default/b:80', 'default/c:84');
  await folder.write('new/directory/c.yaml', service('c', 85));
  await folder.untilServices('default/a:82', 'default/b:80', 'default/c:85');
  await rm(join(folder.path, 'new'), { recursive: true });
  await folder.untilServices('default/a:82', 'default/b:80');
  await unlink(join(folder.path, 'a.yaml'));
  await folder.untilServices('default/b:80');
  t.false(folder.history.some((line) => line === 'events: '));
});

folderTest(
  'a file that breaks keeps what it said, is told with the place, and is mended',
  async (t, folder) => {
    await folder.write('a.yaml', service('a'));
    await folder.openAndSync();
    await folder.write('a.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: a\n');
    await folder.untilRejected(
      t,
      'File DIR/a.yaml (DIR/a.yaml:4:1): is no valid YAML here: Flow map in block collection must be sufficiently indented and end with a }; until it is mended, what stood here before stays',
    );
    t.is(folder.lines.filter(({ level }) => level === 'warn').length, 1);
    await folder.lookedAt();
    t.deepEqual(folder.services, ['default/a:80']);
    await folder.write('a.yaml', service('a', 81));
    await folder.untilServices('default/a:81');
    await folder.untilRejected(t);
  },
);

folderTest('a broken document takes nothing away and holds nothing up', async (t, folder) => {
  await folder.write('a.yaml', [service('a'), service('b'), service('c')].join('---\n'));
  await folder.openAndSync();
  await folder.write('a.yaml', [service('a', 81), 'b: "\n', service('c', 83)].join('---\n'));
  await folder.untilServices('default/a:81', 'default/b:80', 'default/c:83');
  await folder.write('a.yaml', [service('a', 81), 'kind: Service\n', service('c', 84)].join('---\n'));
  await folder.untilServices('default/a:81', 'default/b:80', 'default/c:84');
  await folder.untilRejected(
    t,
    'File DIR/a.yaml (DIR/a.yaml:6): apiVersion is missing: say which version of the kind, e.g. v1',
  );
  await folder.write('a.yaml', service('c', 84));
  await folder.untilServices('default/c:84');
  await folder.untilRejected(t);
});

folderTest('an object of another kind is skipped, and says why once', async (t, folder) => {
  await folder.write(
    'a.yaml',
    `${service('a')}---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n`,
  );
  await folder.write('b.yaml', '{apiVersion: v1, kind: Endpoints, metadata: {name: a}}\n');
  await folder.openAndSync();
  await folder.write(
    'a.yaml',
    `${service('a', 81)}---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}\n`,
  );
  await folder.untilServices('default/a:81');
  t.deepEqual(folder.rejections, []);
  t.deepEqual(
    folder.lines.map(({ level, message, fields }) => [level, message, fields['reason']]),
    [
      [
        'info',
        'Skipped',
        '"apps/v1 Deployment" is left out: the mesh reads v1 Service, discovery.k8s.io/v1 EndpointSlice, v1 Pod and v1 Node',
      ],
      [
        'info',
        'Skipped',
        '"v1 Endpoints" is left out: write its addresses as a discovery.k8s.io/v1 EndpointSlice',
      ],
    ],
  );
});

folderTest('an object that the mesh rejects comes with its place', async (t, folder) => {
  await folder.write('a.yaml', `${service('a')}---\n${service('b', 70_000)}`);
  await folder.openAndSync();
  t.deepEqual([...folder.state.rejections.values()].map(formatRejection), [
    `Service default/b (${folder.path}/a.yaml:6): spec.ports[0].port is 70000: use a number from 1 to 65535`,
  ]);
});

folderTest('a file that is being written is read when it is whole', async (t, folder) => {
  const text = Array.from({ length: 20 }, (_, index) => service(`s${index}`)).join('---\n');
  await folder.write('a.yaml', text);
  await folder.openAndSync({ settleMs: 250 });
  const changed = text.replaceAll('port: 80', 'port: 81');
  await folder.write('a.yaml', '');
  for (let start = 0; start < changed.length; start += 200) {
    await appendFile(join(folder.path, 'a.yaml'), changed.slice(start, start + 200));
    await delay(5);
  }
  await until(
    'all ports changed',
    () => folder.services,
    (services) => services.every((name) => name.endsWith(':81')),
  );
  t.is(folder.history.length, 3, 'all of it, synced, all of it changed');
  t.deepEqual(folder.lines, []);
});

folderTest('a writer that pauses between two documents takes none away', async (t, folder) => {
  await folder.write('all.yaml', [service('a'), service('b')].join('---\n'));
  await folder.openAndSync({ emptySettleMs: 2_000 });
  await folder.write('all.yaml', `${service('a', 81)}---\n`);
  await delay(150);
  await folder.untilServices('default/a:81', 'default/b:80');
  await appendFile(join(folder.path, 'all.yaml'), service('b', 81));
  await folder.untilServices('default/a:81', 'default/b:81');
  t.true(folder.history.every((line) => line === 'synced' || line.includes('/b:')));
});

folderTest('an object that moves to another file is served throughout', async (t, folder) => {
  await folder.write('a.yaml', [service('a'), service('b')].join('---\n'));
  await folder.openAndSync({ emptySettleMs: 3_600_000 });
  await folder.write('a.yaml', service('a', 81));
  await folder.untilServices('default/a:81', 'default/b:80');
  await folder.write('0.yaml', service('b', 81));
  await folder.untilServices('default/a:81', 'default/b:81');
  t.deepEqual(folder.rejections, []);
});

folderTest('given a file that does not come to rest, starts without it and names it', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await utimes(join(folder.path, 'a.yaml'), 0, 0);
  await folder.write('b.yaml', service('b'));
  await folder.open({ settleMs: 3_600_000, startMs: 1 });
  await folder.untilSynced('synced in part');
  await folder.untilServices('default/a:80');
  t.deepEqual(folder.source?.remarks(), [
    `File ${folder.path}/b.yaml: has not been read yet, since it keeps changing: leave it alone`,
  ]);
  await unlink(join(folder.path, 'b.yaml'));
  await folder.untilSynced();
  t.deepEqual(folder.source?.remarks(), []);
});

folderTest(
  'given something unreadable at the start, serves the rest and counts what it may hold as unknown',
  async (t, folder) => {
    const broken: Readonly<Record<string, () => Promise<void>>> = {
      'no YAML': async () => folder.write('b.yaml', `${service('c')}---\nb: "\n`),
      'half a Kubernetes object': async () => folder.write('b.yaml', `${service('c')}---\napiVersion: v1\n`),
      'no text': async () => writeFile(join(folder.path, 'b.yaml'), Buffer.from([0xff, 0xff])),
      'too large': async () => folder.write('b.yaml', '#'.repeat(2_000)),
      'a link to itself': async () => symlink('b.yaml', join(folder.path, 'b.yaml')),
    };
    await folder.write('a.yaml', service('a'));
    for (const [what, breakIt] of Object.entries(broken)) {
      await breakIt();
      folder.lines.length = 0;
      await folder.open({ mostBytes: 1_000 });
      await folder.untilSynced('synced in part');
      await folder.lookedAt();
      t.true(folder.services.includes('default/a:80'), what);
      t.is(folder.source?.remarks().length, 1, what);
      t.true(folder.source?.remarks()[0]?.startsWith(`File ${folder.path}/b.yaml`), what);
      t.false(folder.history.includes('synced'), what);
      t.deepEqual(
        folder.lines.map(({ level, message }) => `${level}: ${message}`),
        [
          'warn: Rejected',
          'error: Serving without some files; nothing is removed from sidecars before they are read',
        ],
        what,
      );
      await rm(join(folder.path, 'b.yaml'));
      await folder.write('b.yaml', service('b'));
      await folder.untilSynced();
      await folder.untilServices('default/a:80', 'default/b:80');
      t.deepEqual(folder.source?.remarks(), [], what);
      await folder.close();
      await unlink(join(folder.path, 'b.yaml'));
    }
  },
);

folderTest('given that an unreadable file of the start is deleted, knows everything', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.write('sub/b.yaml', 'b: "\n');
  await folder.open();
  await folder.untilSynced('synced in part');
  await rm(join(folder.path, 'sub'), { recursive: true });
  await folder.untilSynced();
  t.deepEqual(folder.services, ['default/a:80']);
});

folderTest('given a file that breaks after it was read, still knows everything', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync();
  await folder.write('a.yaml', 'a: "\n');
  await folder.write('b.yaml', 'b: "\n');
  await until(
    'two rejections',
    () => folder.rejections.length,
    (count) => count === 2,
  );
  t.deepEqual(folder.history, ['events: default/a:80', 'synced']);
});

folderTest('what is legible and wrong or twice there is no reason to wait', async (t, folder) => {
  await folder.write('a.yaml', [service('a'), service('a'), service('b', 70_000)].join('---\n'));
  await folder.write('lost+found/c.yaml', 'c: [');
  await folder.openAndSync();
  t.deepEqual(folder.services, ['default/a:80', 'default/b:'], 'of the wrong one, that there is one');
});

folderTest('an emptied file counts as being written for a while', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync({ emptySettleMs: 3_600_000 });
  await truncate(join(folder.path, 'a.yaml'));
  await folder.write('b.yaml', service('b'));
  await folder.untilServices('default/a:80', 'default/b:80');
  await folder.write('a.yaml', service('a', 81));
  await folder.untilServices('default/a:81', 'default/b:80');
  t.true(folder.history.every((line) => line === 'synced' || line.includes('/a:')));
});

folderTest('a file that stays empty is emptied', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync();
  await truncate(join(folder.path, 'a.yaml'));
  await folder.untilServices();
  t.deepEqual(folder.rejections, []);
});

folderTest('a mounted ConfigMap is exchanged as a whole', async (t, folder) => {
  const publish = async (version: string, files: Readonly<Record<string, string>>): Promise<void> => {
    for (const [name, text] of Object.entries(files)) await folder.write(`..${version}/${name}`, text);
    await symlink(`..${version}`, join(folder.path, '..data_tmp'));
    await rename(join(folder.path, '..data_tmp'), join(folder.path, '..data'));
  };
  await publish('1', { 'a.yaml': service('a'), 'sub/b.yaml': service('b') });
  await symlink('..data/a.yaml', join(folder.path, 'a.yaml'));
  await symlink('..data/sub', join(folder.path, 'sub'));
  await folder.openAndSync({ rescanMs: TOLD_ONLY_MS });
  t.deepEqual(folder.services, ['default/a:80', 'default/b:80']);
  await publish('2', { 'a.yaml': service('a', 81), 'sub/b.yaml': service('b', 82) });
  await rm(join(folder.path, '..1'), { recursive: true });
  await folder.untilServices('default/a:81', 'default/b:82');
  await publish('3', { 'a.yaml': service('a', 83), 'sub/c.yaml': service('c') });
  await rm(join(folder.path, '..2'), { recursive: true });
  await folder.untilServices('default/a:83', 'default/c:80');
  await folder.write('..3/sub/c.yaml', service('c', 84));
  await folder.untilServices('default/a:83', 'default/c:84');
});

folderTest('links that lead back up or to themselves do no harm', async (t, folder) => {
  await folder.write('sub/a.yaml', service('a'));
  await symlink('nowhere', join(folder.path, 'dangling.yaml'));
  for (const [name, up] of Object.entries({ here: '.', again: '.', 'sub/up': '..', 'sub/here': '.' })) {
    await symlink(up, join(folder.path, name));
  }
  await folder.openAndSync();
  await symlink('loop.yaml', join(folder.path, 'loop.yaml'));
  await folder.untilRejected(
    t,
    `File ${folder.path}/loop.yaml: is a symbolic link that leads back to itself: remove it; what was read there before stays`,
  );
  t.deepEqual(folder.services, ['default/a:80']);
});

folderTest('a folder that vanishes is no empty one, and may come back', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.write('b.yaml', service('b'));
  await folder.openAndSync({ rescanMs: TOLD_ONLY_MS });
  await rename(folder.path, `${folder.path}-moved`);
  await folder.untilRejected(
    t,
    'Directory DIR: does not exist any more: put it back; what was read there before stays',
  );
  t.deepEqual(folder.services, ['default/a:80', 'default/b:80']);
  await rm(`${folder.path}-moved`, { recursive: true });
  await folder.write('a.yaml', service('a', 81));
  await folder.untilServices('default/a:81');
  await folder.untilRejected(t);
  await folder.write('a.yaml', service('a', 82));
  await folder.untilServices('default/a:82');
});

folderTest(
  'given two objects of one name, serves the one that kubectl would apply last',
  async (t, folder) => {
    await folder.write('b.yaml', service('a', 82));
    await folder.write('a.yaml', service('a', 81));
    await folder.write('a/z.yaml', service('a', 80));
    await folder.openAndSync();
    t.deepEqual(folder.services, ['default/a:82']);
    await folder.untilRejected(
      t,
      'Service default/a (DIR/a.yaml:1): is in DIR/b.yaml:1 as well, which comes later and counts: remove one of the two',
      'Service default/a (DIR/a/z.yaml:1): is in DIR/b.yaml:1 as well, which comes later and counts: remove one of the two',
    );
    await unlink(join(folder.path, 'b.yaml'));
    await folder.untilServices('default/a:81');
    await unlink(join(folder.path, 'a.yaml'));
    await folder.untilServices('default/a:80');
    await folder.untilRejected(t);
  },
);

folderTest('what is no text keeps what the file said', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync();
  await folder.write('a.yaml', Buffer.from('# b\na: \xff\n', 'latin1'));
  await folder.untilRejected(
    t,
    'File DIR/a.yaml: is not UTF-8 text in line 2: save it as UTF-8; what it said before stays',
  );
  t.deepEqual(folder.services, ['default/a:80']);
});

folderTest('too large a file keeps what it said', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync({ mostBytes: 200 });
  await folder.write('a.yaml', `${service('a', 81)}${'#'.repeat(200)}`);
  const [rejection] = await until(
    'a rejection',
    () => folder.rejections,
    ({ length }) => length === 1,
  );
  t.regex(rejection ?? '', /a\.yaml: has \d+ bytes, and a file of more than 200 is not read: split it; what/);
  t.deepEqual(folder.services, ['default/a:80']);
  await folder.write('a.yaml', service('a', 82));
  await folder.untilServices('default/a:82');
  await folder.untilRejected(t);
});

const NOBODY = 65_534;

test.serial('a file that may not be read keeps what it said', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'cortexflow-files-'));
  const folder = new Folder(path);
  // Root may read everything, so it is somebody else for a while; tests of this file run one by one.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    await chown(path, NOBODY, NOBODY);
    process.seteuid?.(NOBODY);
  }
  try {
    await folder.write('a.yaml', service('a'));
    await folder.openAndSync();
    await chmod(join(path, 'a.yaml'), 0);
    await folder.untilRejected(
      t,
      'File DIR/a.yaml: may not be read by this user: change its permissions; what it said before stays',
    );
    t.deepEqual(folder.services, ['default/a:80']);
    await chmod(join(path, 'a.yaml'), 0o600);
    await folder.untilRejected(t);
  } finally {
    if (isRoot) process.seteuid?.(0);
    await folder.close();
    await rm(path, { recursive: true, force: true });
  }
});

/** One map with so many keys takes many seconds. */
const SLOW = Array.from({ length: 150_000 }, (_, index) => `k${index}: 1\n`).join('');

folderTest(
  'given a file that is slow to parse, applies edits of other files meanwhile',
  async (t, folder) => {
    await folder.write('a.yaml', service('a'));
    await folder.write('slow.yaml', service('slow'));
    await folder.openAndSync({ slowMs: 3_600_000 });
    await folder.write('slow.yaml', SLOW);
    const inProgress = [
      `File ${folder.path}/slow.yaml: takes long to parse; until it is read, what it said before stays`,
    ];
    await until(
      'the slow file is being parsed',
      () => folder.source?.remarks(),
      (remarks) => remarks?.length === 1,
    );
    await folder.write('a.yaml', service('a', 81));
    await folder.untilServices('default/a:81', 'default/slow:80');
    t.deepEqual(folder.source?.remarks(), inProgress, 'it is still being parsed');
    await folder.write('slow.yaml', service('slow', 81));
    await folder.untilServices('default/a:81', 'default/slow:81');
    t.deepEqual(folder.source?.remarks(), [], 'a newer version does not wait for the older');
  },
);

folderTest(
  'given a file that takes longer than allowed, rejects it by name and keeps what it said',
  async (t, folder) => {
    await folder.write('slow.yaml', service('slow'));
    await folder.openAndSync({ slowMs: 1 });
    await folder.write('slow.yaml', SLOW);
    await folder.untilRejected(
      t,
      'File DIR/slow.yaml (DIR/slow.yaml:1:1): takes more than 0.001 s to parse: split the file, or write it as JSON; until it is mended, what stood here before stays',
    );
    await folder.lookedAt();
    t.deepEqual(folder.services, ['default/slow:80']);
  },
);

folderTest('given a file that is slow to parse at the start, starts without it', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.write('slow.yaml', SLOW);
  await folder.open({ startMs: 1, slowMs: 3_600_000 });
  await folder.untilSynced('synced in part');
  await folder.untilServices('default/a:80');
  t.deepEqual(folder.source?.remarks(), [
    `File ${folder.path}/slow.yaml: takes long to parse; until it is read, what it said before stays`,
  ]);
});

folderTest(
  'given more JSON than all files together may make, rejects the file that goes over',
  async (t, folder) => {
    await folder.write('a.yaml', service('a'));
    await folder.openAndSync({ mostBytesTogether: 1_000 });
    await folder.write('b.yaml', `x: &x ${'x'.repeat(100)}\ny: [${'*x,'.repeat(20)}]\n`);
    await folder.untilRejected(
      t,
      'File DIR/b.yaml: is too much: together the files have more than 1000 bytes of JSON; make the directory smaller; what it said before stays',
    );
    await folder.lookedAt();
    t.deepEqual(folder.services, ['default/a:80']);
  },
);

folderTest(
  'given values that YAML 1.1 reads in its own way, serves what kubectl would apply',
  async (t, folder) => {
    await folder.write('a.yaml', service('a').replace('80', '0120'));
    await folder.write('b.yaml', service('b').replace('80', '1e3'));
    await folder.write(
      'c.json',
      ['c', 'd']
        .map((name) =>
          JSON.stringify({
            apiVersion: 'v1',
            kind: 'ServiceList',
            items: [{ metadata: { name }, spec: { ports: [{ port: 80 }] } }],
          }),
        )
        .join('\n'),
    );
    await folder.openAndSync();
    t.deepEqual(folder.services, ['default/a:80', 'default/b:1000', 'default/c:80', 'default/d:80']);
  },
);

folderTest('after closing nothing is told', async (t, folder) => {
  await folder.write('a.yaml', service('a'));
  await folder.openAndSync();
  await folder.write('a.yaml', service('a', 81));
  await folder.source?.close();
  const told = folder.history.length;
  await folder.write('a.yaml', service('a', 82));
  await delay(100);
  t.is(folder.history.length, told);
});

/** A random edit, as a person or a program makes it. */
const anyEdit = fc.record({
  file: fc.constantFrom('a.yaml', 'b.yaml', 'sub/c.yaml', 'sub/deeper/d.yaml'),
  how: fc.constantFrom('write', 'aside', 'delete', 'append', 'slowly'),
  ports: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 4 }),
});

folderTest('random edits end where a fresh start on the folder does', async (t, folder) => {
  const anySession = fc.array(fc.record({ edit: anyEdit, pauseMs: fc.constantFrom(0, 0, 5, 40) }), {
    minLength: 1,
    maxLength: 15,
  });
  await fc.assert(
    fc.asyncProperty(anySession, async (session) => {
      await folder.openAndSync();
      for (const { edit, pauseMs } of session) {
        await makeEdit(folder, edit);
        await delay(pauseMs);
      }
      const fresh = new Folder(folder.path);
      await fresh.openAndSync();
      await fresh.close();
      await until(
        'the slices of a fresh start',
        () => folder.slices.join('\n'),
        (slices) => slices === fresh.slices.join('\n'),
      );
      await folder.untilServices(...fresh.services);
      await folder.lookedAt();
      t.deepEqual(folder.services, fresh.services);
      t.deepEqual(folder.slices, fresh.slices);
      t.deepEqual(folder.rejections, []);
      await folder.close();
    }),
    { numRuns: 10 },
  );
});

interface Edit {
  readonly file: string;
  readonly how: string;
  readonly ports: readonly number[];
}

/** Each file has names of its own, so that no two claim one object. */
async function makeEdit(folder: Folder, { file, how, ports }: Edit): Promise<void> {
  const prefix = file.replaceAll(/[/.]/g, '-');
  const text = ports.map((port, index) => serviceAndSlice(`${prefix}-${index}`, port)).join('---\n');
  const path = join(folder.path, file);
  if (how === 'delete') await rm(path, { force: true });
  else if (how === 'append') await folder.writeInPlace(file, `${text}\n# more\n`);
  else if (how === 'aside') {
    await folder.writeInPlace(`${file}.tmp`, text);
    await rename(`${path}.tmp`, path);
  } else if (how === 'slowly') {
    await folder.writeInPlace(file, text.slice(0, 40));
    await writeFile(path, text);
  } else await folder.writeInPlace(file, text);
}
