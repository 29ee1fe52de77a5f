import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from './binaries.ts';
import { mustRun } from './command.ts';
import { buildImage, hasImage, tagImage } from './image-store.ts';
import { digestOf } from './inputs.ts';

const SUITE = 'bookworm';
/** What the project's Dockerfiles begin with: the Node of package.json, which is the one that runs this. */
const NAME = `docker.io/library/node:${process.versions.node}-${SUITE}-slim`;
const PACKAGES = ['ca-certificates', 'libatomic1', 'libstdc++6'];
/** The authorities that this machine trusts, be it that somebody added one for its network. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';
const dockerfile = fileURLToPath(new URL('./images/base.Dockerfile', import.meta.url));

/** Makes the base image be in the store under its name. Resolves with what tells it from another base image. */
export async function prepareBaseImage(): Promise<string> {
  const npmSettings = `cafile=${TRUSTED}\nregistry=${(await mustRun(['npm', 'config', 'get', 'registry'])).trim()}\n`;
  const contents = [readFileSync(dockerfile), readFileSync(TRUSTED), npmSettings];
  const digest = digestOf([SUITE, ...PACKAGES, process.version, ...contents]);
  const image = `localhost/cortexflow-base:${digest}`;
  if (!(await hasImage(image))) await build(image, await debian(), npmSettings);
  await tagImage(image, NAME);
  return digest;
}

async function build(image: string, rootfs: string, npmSettings: string): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'cortexflow-base-'));
  try {
    await cp(rootfs, join(context, 'rootfs.tar'));
    await cp(realpathSync(process.execPath), join(context, 'node'));
    await cp(npmDirectory(), join(context, 'npm'), { recursive: true });
    await cp(TRUSTED, join(context, 'ca-certificates.crt'));
    await writeFile(join(context, 'npmrc'), npmSettings);
    await buildImage({ image, dockerfile, context });
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** A small Debian from this machine's own package sources; resolves with the path of the tar file. */
async function debian(): Promise<string> {
  const path = join(cacheDirectory, 'images', `debian-${digestOf([SUITE, ...PACKAGES])}.tar`);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = path.replace(/\.tar$/, `.${process.pid}.tar`);
  await mustRun(['mmdebstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, unfinished]);
  renameSync(unfinished, path);
  return path;
}

/** The npm on the PATH: the one that is run now comes without one. */
function npmDirectory(): string {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const npm = directories.map((directory) => join(directory, 'npm')).find((path) => existsSync(path));
  if (npm === undefined) throw new Error('npm is not on the PATH: the images are built with it');
  return dirname(dirname(realpathSync(npm)));
}
