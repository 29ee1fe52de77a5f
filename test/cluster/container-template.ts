/**
 * A containerd's files with all images unpacked, made once and given to every node of every cluster as hard
 * links: unpacking takes half a minute a node, linking a second. Nothing in there is ever written again but
 * containerd's own books, and these are copied.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';
import { cacheDirectory } from './binaries.ts';
import { Child } from './child.ts';
import { mustRun, run } from './command.ts';
import type { Archive } from './images.ts';
import { digestOf } from './inputs.ts';

const templates = join(cacheDirectory, 'containerd');
const KEPT_TEMPLATES = 3;
const BOOKS = [
  'io.containerd.metadata.v1.bolt/meta.db',
  'io.containerd.snapshotter.v1.overlayfs/metadata.db',
];

/** Resolves with the directory that holds these images; it begins with the newest one that holds some of them. */
export async function prepareTemplate(archives: readonly Archive[]): Promise<string> {
  const path = join(templates, digestOf(archives.map((archive) => archive.path)));
  if (!existsSync(path)) {
    const unfinished = join(templates, `unfinished-${process.pid}`);
    mkdirSync(unfinished, { recursive: true });
    try {
      await fill(unfinished, archives);
      // Somebody else may have made the same one meanwhile.
      if (!existsSync(path)) renameSync(unfinished, path);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
    removeOldest();
  }
  utimesSync(path, new Date(), new Date());
  return path;
}

/** @param to made by this; on the same file system as the template */
export async function copyTemplate(template: string, to: string): Promise<void> {
  await mustRun(['cp', '--archive', '--link', join(template, 'root'), to]);
  for (const book of BOOKS) {
    rmSync(join(to, book));
    await mustRun(['cp', '--archive', join(template, 'root', book), join(to, book)]);
  }
}

async function fill(directory: string, archives: readonly Archive[]): Promise<void> {
  const root = join(directory, 'root');
  const begun = byAge().find((path) =>
    readArchives(path).some(({ path: one }) => archives.some((other) => other.path === one)),
  );
  if (begun) await copyTemplate(begun, root);
  const held = begun === undefined ? [] : readArchives(begun).map(({ path }) => path);
  const missing = archives.filter(({ path }) => !held.includes(path));
  if (missing.length > 0) await importInto(directory, missing);
  writeFileSync(join(directory, 'archives.json'), JSON.stringify(archives));
}

/** By a containerd of its own, out of sight of any other. */
async function importInto(directory: string, archives: readonly Archive[]): Promise<void> {
  const state = join(directory, 'state');
  const socket = join(state, 'containerd.sock');
  const config = join(directory, 'containerd.toml');
  mkdirSync(state);
  writeFileSync(
    config,
    `version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n`,
  );
  const places = ['--root', join(directory, 'root'), '--state', state, '--address', socket];
  const alone = ['unshare', '--mount', '--propagation=private', '--'];
  const containerd = new Child(
    'containerd',
    [...alone, 'containerd', '--config', config, ...places],
    directory,
  );
  const ctr = (args: readonly string[]): readonly string[] => ['ctr', '--address', socket, ...args];
  try {
    await until(
      'an answer of containerd',
      () => {
        if (containerd.failure) throw new Error(containerd.failure);
        return run(ctr(['version']));
      },
      ({ code }) => code === 0,
      { withinMs: 240_000 },
    );
    await importArchives(archives, (args) => mustRun(ctr(args)));
  } finally {
    await containerd.end();
  }
}

/**
 * One after the other: what two images share is unpacked once.
 *
 * @param ctr runs ctr with these arguments and resolves with its output
 */
export async function importArchives(
  archives: readonly Archive[],
  ctr: (args: readonly string[]) => Promise<string>,
): Promise<void> {
  const images = ['--namespace=k8s.io', 'images'];
  for (const { path } of archives) {
    const importing = [...images, 'import', path];
    // containerd may clear away a layer of the image before, just as this one builds on it: then it is unpacked anew.
    await ctr(importing).catch(() => ctr(importing));
  }
  // The image store's own names come along; they would keep every image that ever was.
  const names = (await ctr([...images, 'ls', '--quiet']))
    .split('\n')
    .filter((name) => name.startsWith('localhost/'));
  if (names.length > 0) await ctr([...images, 'rm', ...names]);
}

function readArchives(template: string): readonly Archive[] {
  return JSON.parse(readFileSync(join(template, 'archives.json'), 'utf8')) as readonly Archive[];
}

/** The finished ones, the one that was used last first. */
function byAge(): readonly string[] {
  const paths = readdirSync(templates)
    .filter((name) => !name.startsWith('unfinished-'))
    .map((name) => join(templates, name));
  return paths.toSorted((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
}

function removeOldest(): void {
  for (const path of byAge().slice(KEPT_TEMPLATES)) rmSync(path, { recursive: true, force: true });
}
