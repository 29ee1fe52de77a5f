import { globSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { DescFile } from '@bufbuild/protobuf';

const root = join(import.meta.dirname, '../..');

/** Every file under proto/ by its import path ("envoy/…/ads.proto") with what was generated from it. */
export async function ourFiles(): Promise<ReadonlyMap<string, DescFile>> {
  const names = globSync('**/*.proto', { cwd: join(root, 'proto') });
  return new Map(await Promise.all(names.map(async (name) => [name, await generatedFrom(name)] as const)));
}

async function generatedFrom(name: string): Promise<DescFile> {
  const module = join(root, 'gen', name.replace(/\.proto$/, '_pb.ts'));
  const exported: Record<string, unknown> = await import(module).catch((cause: unknown) => {
    throw new Error(`proto/${name} has no ${relative(root, module)}: run npm run generate`, { cause });
  });
  const file = Object.values(exported).find(isFile);
  if (file === undefined) throw new Error(`${relative(root, module)} exports no file descriptor`);
  return file;
}

function isFile(value: unknown): value is DescFile {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'file';
}
