import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export const INSTALL_GRPCURL = 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';

/** Where grpcurl is: on the PATH, or where .ci/run keeps it. Undefined: nowhere. */
export function findGrpcurl(): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const directories = (process.env['PATH'] ?? '').split(delimiter).concat(join(cache, 'cortexflow/bin'));
  return directories.map((directory) => join(directory, 'grpcurl')).find(isExecutable);
}

/** What grpcurl prints, run without any proto file at hand. Rejects with what it complains about. */
export async function grpcurl(binary: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ['-plaintext', ...args]);
  return stdout;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
