/** The control groups that a node's pods live in, in every hierarchy that this machine has. */
import { readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const ROOT = '/sys/fs/cgroup';
/** A group stays busy for a moment after its last process has ended. */
const BUSY_TRIES = 200;
const BUSY_MS = 20;

export async function createCgroup(name: string): Promise<void> {
  for (const hierarchy of hierarchies()) {
    const path = join(hierarchy, name);
    await mkdir(path, { recursive: true });
    // In version 1 a group has no processors and no memory until somebody says which.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (hierarchy.endsWith('/cpuset')) await copyFile(join(hierarchy, file), join(path, file));
    }
  }
  if (isUnified()) await delegate(name);
}

/** With all groups below it. */
export async function removeCgroup(name: string): Promise<void> {
  await Promise.all(hierarchies().map((hierarchy) => remove(join(hierarchy, name))));
}

function isUnified(): boolean {
  return existsSync(join(ROOT, 'cgroup.controllers'));
}

function hierarchies(): readonly string[] {
  if (isUnified()) return [ROOT];
  const entries = readdirSync(ROOT, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(ROOT, entry.name));
}

async function delegate(name: string): Promise<void> {
  const controllers = (await readFile(join(ROOT, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  const enable = controllers.map((controller) => `+${controller}`).join(' ');
  await writeFile(join(ROOT, 'cgroup.subtree_control'), enable);
  await writeFile(join(ROOT, name, 'cgroup.subtree_control'), enable);
}

async function remove(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) await remove(join(path, name));
  for (let tries = 0; ; tries += 1) {
    try {
      return await rmdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || tries === BUSY_TRIES) throw error;
      await delay(BUSY_MS);
    }
  }
}
