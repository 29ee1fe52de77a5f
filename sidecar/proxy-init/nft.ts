import { spawnSync } from 'node:child_process';

/** What became of one run of nft(8). */
export type NftResult =
  | { readonly ok: true; readonly output: string }
  /** `missing`: there is no such program. `message` is what it complained about, on one line. */
  | { readonly ok: false; readonly missing: boolean; readonly message: string };

/** Where administrators' programs are; looked through first, since others may be called nft, too. */
const SYSTEM_DIRECTORIES = '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin';

/** nft answers within milliseconds; a kernel that loads modules for it takes a second or two. */
const TIMEOUT_MS = 20_000;

/** Runs nft in this network namespace. It is waited for: there is nothing else to do meanwhile. */
export function nft(args: readonly string[], input = ''): NftResult {
  const path = [SYSTEM_DIRECTORIES, process.env['PATH'] ?? ''].join(':');
  const { error, status, signal, stdout, stderr } = spawnSync('nft', args, {
    input,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    // Its messages are read here: in the language that they are known in.
    env: { PATH: path, LC_ALL: 'C' },
  });
  if (error !== undefined) return failure(error.message, 'code' in error && error.code === 'ENOENT');
  return status === 0
    ? { ok: true, output: stdout }
    : failure(stderr.trim() || `it ended with ${signal ?? status}`, false);
}

function failure(why: string, missing: boolean): NftResult {
  return { ok: false, missing, message: why.replaceAll(/\s+/gu, ' ') };
}
