import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/** Sixteen hexadecimal digits that tell these contents from any others. */
export function digestOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}

/**
 * Tells an image from one that any other state of the tree would make: by its Dockerfile and all that it copies.
 * Tests and documents are no part of images.
 */
export function digestOfBuild(dockerfile: string, context: string): string {
  const text = readFileSync(dockerfile, 'utf8');
  const files = copiedPaths(text).flatMap((path) => filesBelow(context, path));
  return digestOf([text, ...files.toSorted().flatMap((file) => [file, readFileSync(join(context, file))])]);
}

/** The sources of its COPY lines, but for those from another stage. */
export function copiedPaths(dockerfile: string): readonly string[] {
  const joined = dockerfile.replaceAll(/\\\n/g, ' ');
  return [...joined.matchAll(/^(?:COPY|ADD)\s+(.+)$/gm)].flatMap(([, rest]) => {
    const words = rest!.trim().split(/\s+/);
    if (words.some((word) => word.startsWith('--from='))) return [];
    return words.filter((word) => !word.startsWith('--')).slice(0, -1);
  });
}

function filesBelow(context: string, path: string): readonly string[] {
  const stats = statSync(join(context, path), { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (stats.isFile()) return [path];
  const files = globSync('**/*', { cwd: join(context, path), withFileTypes: true });
  return files
    .filter((file) => file.isFile() && !/(\.test\.ts|\.md|Dockerfile)$/.test(file.name))
    .map((file) => join(file.parentPath, file.name).slice(context.length + 1));
}
