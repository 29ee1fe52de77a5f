import type { FoundFile } from './directory.ts';

export interface SizeLimits {
  /** Of one file. */
  readonly mostBytes: number;
  /** Of all files together. */
  readonly mostBytesTogether: number;
}

/**
 * The files, those that are too large with the reason why they are not to be read. Of too many bytes together
 * the files that come first by path are read. A file's stamp tells the reason too, so that it is looked at
 * anew when there is room for it again.
 */
export function limited(
  files: ReadonlyMap<string, FoundFile>,
  limits: SizeLimits,
): ReadonlyMap<string, FoundFile> {
  let together = 0;
  const result = new Map<string, FoundFile>();
  for (const file of [...files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const refusal = refusalOf(file, together, limits);
    if (refusal === undefined) together += file.size;
    const stamp = refusal === undefined ? file.stamp : `${file.stamp}:refused`;
    result.set(file.path, { ...file, stamp, refusal });
  }
  return result;
}

function refusalOf({ size }: FoundFile, before: number, limits: SizeLimits): string | undefined {
  if (size > limits.mostBytes) {
    return `has ${size} bytes, and a file of more than ${limits.mostBytes} is not read: split it`;
  }
  if (before + size > limits.mostBytesTogether) {
    return `is too much: together the files have more than ${limits.mostBytesTogether} bytes; make the directory smaller`;
  }
  return undefined;
}
