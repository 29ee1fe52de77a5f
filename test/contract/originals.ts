import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FileRegistry } from '@bufbuild/protobuf';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const require = createRequire(import.meta.url);
const buf = require.resolve('@bufbuild/buf/bin/buf');
const asImage = ['--as-file-descriptor-set', '--output', '-'];
const roots = ['envoy-api', 'googleapis', 'xds', 'protoc-gen-validate'];

/** Where @grpc/grpc-js-xds keeps the complete protos of the xDS API. */
export const ORIGINALS = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
export const ORIGINAL_ROOTS: readonly string[] = roots.map((root) => join(ORIGINALS, root));

/** Whether a file of ours ("envoy/…/ads.proto") has an original there. */
export function hasOriginal(name: string): boolean {
  return rootOf(name) !== undefined;
}

/** Compiles the originals of these files, and what they import, with the compiler that ours go through. */
export function compileOriginals(names: readonly string[]): FileRegistry {
  const config = { version: 'v2', modules: roots.map((path) => ({ path })) };
  const paths = names.flatMap((name) => ['--path', join(rootOf(name) ?? '', name)]);
  const image = execFileSync(
    process.execPath,
    [buf, 'build', '--config', JSON.stringify(config), ...asImage, ...paths],
    { cwd: ORIGINALS, maxBuffer: 1 << 28 },
  );
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
}

function rootOf(name: string): string | undefined {
  return roots.find((root) => existsSync(join(ORIGINALS, root, name)));
}
