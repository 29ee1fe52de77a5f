/** Buildah, with a store of its own outside the tree that all clusters share. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './binaries.ts';
import { mustRun, run } from './command.ts';

const directory = join(cacheDirectory, 'image-store');

export interface Build {
  /** What the store calls it. */
  readonly image: string;
  readonly dockerfile: string;
  /** The directory that the Dockerfile copies from. */
  readonly context: string;
  /** What of it is not given; unless told, what its .dockerignore says. */
  readonly ignoreFile?: string;
}

/** Layers that did not change come from the last build; an image that is not here is not asked for elsewhere. */
export async function buildImage({ image, dockerfile, context, ignoreFile }: Build): Promise<void> {
  const options = ['--isolation=chroot', '--pull-never', '--layers', '--format=docker'];
  if (ignoreFile !== undefined) options.push(`--ignorefile=${ignoreFile}`);
  await mustRun(buildah(['build', ...options, `--tag=${image}`, `--file=${dockerfile}`, context]));
}

/** Writes an archive that containerd imports under that name. */
export async function saveImage(image: string, path: string, name: string): Promise<void> {
  await mustRun(buildah(['push', '--quiet', image, `docker-archive:${path}:${name}`]));
}

/** Gone with the layers that no other image has; one that is not there is no mistake. */
export async function removeImage(image: string): Promise<void> {
  await run(buildah(['rmi', image]));
}

export async function tagImage(image: string, name: string): Promise<void> {
  await mustRun(buildah(['tag', image, name]));
}

export async function hasImage(image: string): Promise<boolean> {
  return (await run(buildah(['inspect', '--type=image', image]))).code === 0;
}

function buildah(args: readonly string[]): readonly string[] {
  const store = ['--root', join(directory, 'storage'), '--runroot', join(directory, 'run')];
  mkdirSync(directory, { recursive: true });
  // The store mounts itself, and what a build that was cut short had mounted would stay: not in the machine's.
  const alone = ['unshare', '--mount', '--propagation=private', '--'];
  return [...alone, 'buildah', ...store, '--storage-driver=overlay', ...args];
}
