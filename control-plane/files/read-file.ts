import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import type { FoundFile } from './directory.ts';
import { explain, stampOf } from './directory.ts';

export type FileRead =
  | { readonly outcome: 'read'; readonly text: string }
  /** It changed between being found and being read, so that the text may be of two states. */
  | { readonly outcome: 'changed' }
  /** `problem` says what is wrong with it and what to do. `mayPass`: without the file itself being changed. */
  | { readonly outcome: 'unreadable'; readonly problem: string; readonly mayPass: boolean };

/** The text of a file that was found at `path` on disk. Never rejects. */
export async function readText(path: string, found: FoundFile): Promise<FileRead> {
  if (found.refusal !== undefined) return { outcome: 'unreadable', problem: found.refusal, mayPass: false };
  try {
    const bytes = await readFile(path);
    const after = await stat(path, { bigint: true });
    return stampOf(after) === found.stamp ? decode(bytes) : { outcome: 'changed' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { outcome: 'changed' };
    return { outcome: 'unreadable', problem: explain(error), mayPass: true };
  }
}

/** As kubectl: UTF-8, unless the file begins with the mark of UTF-16. */
function decode(bytes: Buffer): FileRead {
  const encoding = ENCODINGS[bytes.toString('hex', 0, 2)] ?? 'utf-8';
  try {
    return { outcome: 'read', text: new TextDecoder(encoding, { fatal: true }).decode(bytes) };
  } catch {
    const problem =
      encoding === 'utf-8'
        ? `is not UTF-8 text in line ${invalidLine(bytes)}: save it as UTF-8`
        : `is not ${encoding} text, as its first bytes say: save it as UTF-8`;
    return { outcome: 'unreadable', problem, mayPass: false };
  }
}

const ENCODINGS: Readonly<Record<string, string>> = { fffe: 'utf-16le', feff: 'utf-16be' };

function invalidLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; ; line += 1) {
    const end = bytes.indexOf('\n', start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}
