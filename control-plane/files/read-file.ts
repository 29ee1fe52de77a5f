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

function decode(bytes: Buffer): FileRead {
  try {
    return { outcome: 'read', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { outcome: 'unreadable', problem: 'is not UTF-8 text: save it as UTF-8', mayPass: false };
  }
}
