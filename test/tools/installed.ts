import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Where a program is: on the PATH, or where .ci/run keeps it. Undefined: nowhere. */
export function findInstalled(program: string): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const directories = (process.env['PATH'] ?? '').split(delimiter).concat(join(cache, 'cortexflow/bin'));
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
