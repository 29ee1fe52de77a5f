import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareBaseImage } from './base-image.ts';
import { binaryPath, cacheDirectory, COREDNS_VERSION } from './binaries.ts';
import { mustRun } from './command.ts';
import { buildImage, removeImage, saveImage } from './image-store.ts';
import { digestOf, digestOfBuild } from './inputs.ts';
import { whileLocked } from './lock.ts';

const tree = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const sources = join(tree, 'test/cluster/images');
const archives = join(cacheDirectory, 'images');
/** Of one image, so that going back and forth between two states of the tree builds nothing anew. */
const KEPT_ARCHIVES = 4;

export const PAUSE_IMAGE = 'docker.io/cortexflow-test/pause:1';
export const COREDNS_IMAGE = 'docker.io/cortexflow-test/coredns:1';
export const APP_IMAGE = 'docker.io/cortexflow-test/app:1';

/** An image in a file. Two with the same path are the same. */
export interface Archive {
  readonly image: string;
  readonly path: string;
}

/** What a cluster itself runs. */
export async function prepareSystemImages(): Promise<readonly Archive[]> {
  const pause = await preparePause();
  return [
    await prepare(PAUSE_IMAGE, digestOf([pause]), (image) => buildFrom('pause', image, { pause })),
    await prepare(COREDNS_IMAGE, digestOf([COREDNS_VERSION]), (image) =>
      buildFrom('coredns', image, { coredns: binaryPath('coredns') }),
    ),
  ];
}

/** CortexFlow's own, as far as their Dockerfiles exist, and the applications of the journeys. */
export async function prepareProjectImages(): Promise<readonly Archive[]> {
  const base = await prepareBaseImage();
  const images = ['control-plane', 'injector', 'sidecar']
    .map((name) => ({
      name: `docker.io/cortexflow/${name}:0.1.0`,
      dockerfile: join(tree, name, 'Dockerfile'),
    }))
    .filter(({ dockerfile }) => existsSync(dockerfile));
  // The journeys' applications are none of what the project ships.
  const ignoreFile = join(sources, 'app.dockerignore');
  const app = { name: APP_IMAGE, dockerfile: join(sources, 'app.Dockerfile'), ignoreFile };
  return Promise.all(
    [...images, app].map(({ name, ...build }) => {
      const digest = digestOf([base, digestOfBuild(build.dockerfile, tree)]);
      return prepare(name, digest, (image) => buildImage({ image, ...build, context: tree }));
    }),
  );
}

/** The program that the pause image and every node begin with; resolves with its path. */
export async function preparePause(): Promise<string> {
  const source = join(sources, 'pause.c');
  const path = join(archives, `pause-${digestOf([readFileSync(source)])}`);
  if (existsSync(path)) return path;
  mkdirSync(archives, { recursive: true });
  await mustRun(['gcc', '-static', '-O2', '-s', '-o', `${path}.${process.pid}`, source]);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

/**
 * @param name with its registry, as containerd has it: `docker.io/cortexflow/sidecar:0.1.0`
 * @param build makes the image, under the name that the store shall know it by: of one image the store may hold
 *   the states of several trees, built at the same time
 */
async function prepare(
  name: string,
  digest: string,
  build: (image: string) => Promise<void>,
): Promise<Archive> {
  const path = join(archives, `${archivePrefix(name)}${digest}.tar`);
  // Whoever wants the same image at the same time waits for it instead of making it, too.
  await whileLocked(join(archives, `${archivePrefix(name)}lock`), async () => {
    if (existsSync(path)) return;
    process.stderr.write(`Building ${name}\n`);
    await build(storedAs(name, digest));
    const unfinished = `${path}.${process.pid}`;
    await saveImage(storedAs(name, digest), unfinished, name);
    renameSync(unfinished, path);
    await removeOldest(name);
  });
  utimesSync(path, new Date(), new Date());
  return { image: name, path };
}

function archivePrefix(name: string): string {
  return `${name.replaceAll(/[^a-z0-9]+/g, '-')}-`;
}

function storedAs(name: string, digest: string): string {
  return `localhost/${name.split(':')[0]!.replace('docker.io/', '')}:${digest}`;
}

/** @param files their names in the build's context, and where they come from */
async function buildFrom(
  name: string,
  image: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'cortexflow-image-'));
  try {
    for (const [file, path] of Object.entries(files)) {
      await copyFile(path, join(context, file));
      chmodSync(join(context, file), 0o755);
    }
    await buildImage({ image, dockerfile: join(sources, `${name}.Dockerfile`), context });
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function removeOldest(name: string): Promise<void> {
  const prefix = archivePrefix(name);
  const kept = readdirSync(archives)
    .filter((file) => file.startsWith(prefix) && /^[0-9a-f]{16}\.tar$/.test(file.slice(prefix.length)))
    .map((file) => ({ digest: file.slice(prefix.length, -'.tar'.length), path: join(archives, file) }));
  const byAge = kept.toSorted((one, other) => statSync(other.path).mtimeMs - statSync(one.path).mtimeMs);
  for (const { digest, path } of byAge.slice(KEPT_ARCHIVES)) {
    rmSync(path);
    await removeImage(storedAs(name, digest));
  }
}
