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
import { binaryPath, cacheDirectory, KUBERNETES_VERSION } from './binaries.ts';
import { mustRun } from './command.ts';
import { buildImage, saveImage } from './image-store.ts';
import { digestOf, digestOfBuild } from './inputs.ts';

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

/** What every node has from the start. */
export async function prepareSystemImages(): Promise<readonly Archive[]> {
  const pause = await preparePause();
  return [
    await archive(PAUSE_IMAGE, digestOf(['pause', pause]), () => buildFrom('pause', PAUSE_IMAGE, { pause })),
    await archive(COREDNS_IMAGE, digestOf(['coredns', KUBERNETES_VERSION]), () =>
      buildFrom('coredns', COREDNS_IMAGE, { coredns: binaryPath('coredns') }),
    ),
  ];
}

/** CortexFlow's own, as far as their Dockerfiles exist, and the applications of the journeys. */
export async function prepareProjectImages(): Promise<readonly Archive[]> {
  const base = await prepareBaseImage();
  const images = ['control-plane', 'injector', 'sidecar']
    .map((name) => ({
      image: `docker.io/cortexflow/${name}:0.1.0`,
      dockerfile: join(tree, name, 'Dockerfile'),
    }))
    .filter(({ dockerfile }) => existsSync(dockerfile));
  const app = { image: APP_IMAGE, dockerfile: join(sources, 'app.Dockerfile') };
  const prepared: Archive[] = [];
  for (const { image, dockerfile } of [...images, app]) {
    const digest = digestOf([base, digestOfBuild(dockerfile, tree)]);
    prepared.push(await archive(image, digest, () => buildImage({ image, dockerfile, context: tree })));
  }
  return prepared;
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

async function archive(image: string, digest: string, build: () => Promise<void>): Promise<Archive> {
  const prefix = image.replaceAll(/[^a-z0-9]+/g, '-');
  const path = join(archives, `${prefix}-${digest}.tar`);
  if (!existsSync(path)) {
    process.stderr.write(`Building ${image}\n`);
    await build();
    const unfinished = join(archives, `${process.pid}.${prefix}`);
    await saveImage(image, unfinished);
    renameSync(unfinished, path);
    removeOldest(prefix);
  }
  utimesSync(path, new Date(), new Date());
  return { image, path };
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

function removeOldest(prefix: string): void {
  const paths = readdirSync(archives)
    .filter((name) => name.startsWith(`${prefix}-`) && /-[0-9a-f]{16}\.tar$/.test(name))
    .map((name) => join(archives, name));
  const byAge = paths.toSorted((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  for (const path of byAge.slice(KEPT_ARCHIVES)) rmSync(path);
}
