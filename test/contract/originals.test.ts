import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescFile, DescMessage } from '@bufbuild/protobuf';
import { equals, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import test from 'ava';
import * as fc from 'fast-check';
import { arbitraryMessage } from './arbitrary-message.ts';
import { compileOriginals, hasOriginal, ORIGINAL_ROOTS } from './originals.ts';
import { ourFiles } from './our-files.ts';
import { outline } from './outline.ts';

// What we keep of other people's protos must mean on the wire what theirs means, field by field. The
// complete originals come with @grpc/grpc-js-xds; health and reflection have none there and are held
// against outlines of theirs that are kept beside this file.
const ours = await ourFiles();
const borrowed = [...ours].filter(([name]) => !name.startsWith('cortexflow/'));
const trimmed = borrowed.filter(([name]) => hasOriginal(name));
const trimmedNames = trimmed.map(([name]) => name);
const originals = compileOriginals(trimmedNames);
const json = { registry: originals };
const otherImplementation = loadSync(trimmedNames, {
  includeDirs: [...ORIGINAL_ROOTS],
  keepCase: true,
  longs: String,
});

for (const [name, file] of borrowed) {
  test(`${name} is a wire-compatible subset of the original`, (t) => {
    const expected = new Set(originalOutline(name));
    const different = outline(file).filter((line) => !expected.has(line));
    t.deepEqual(
      different,
      [],
      `proto/${name} says what its original does not say: use the original's numbers, types and names`,
    );
  });
}

for (const { type, original } of trimmedMessages()) {
  test(`${type.typeName}: what we write is read the same with the original`, (t) => {
    fc.assert(
      fc.property(arbitraryMessage(type), (message) => {
        const read = fromBinary(original, toBinary(type, message));
        t.deepEqual(toJson(original, read, json), toJson(type, message, json));
      }),
    );
  });

  test(`${type.typeName}: of an original we read our fields and pass on the rest`, (t) => {
    fc.assert(
      fc.property(arbitraryMessage(original), (message) => {
        const read = fromBinary(type, toBinary(original, message));
        const all = toJson(original, message, { ...json, enumAsInteger: true });
        const known = fromJson(type, all, { ...json, ignoreUnknownFields: true });
        t.true(equals(type, read, known));
        t.true(equals(original, fromBinary(original, toBinary(type, read)), message));
      }),
    );
  });

  // proto-loader has no codec for a nested message; its parent's test covers it.
  const codec = otherImplementation[type.typeName] as MessageTypeDefinition<object, object> | undefined;
  if (codec === undefined && type.parent !== undefined) continue;

  test(`${type.typeName}: what we write survives protobufjs with the original`, (t) => {
    fc.assert(
      fc.property(arbitraryMessage(type), (message) => {
        const back = codec!.serialize(codec!.deserialize(Buffer.from(toBinary(type, message))));
        t.true(equals(type, fromBinary(type, back), message));
      }),
    );
  });
}

function originalOutline(name: string): readonly string[] {
  const original = originals.getFile(name);
  if (original !== undefined) return outline(original);
  const kept = join(import.meta.dirname, 'outlines', `${name}.txt`);
  try {
    return readFileSync(kept, 'utf8').split('\n');
  } catch (cause) {
    throw new Error(
      `proto/${name} is nobody's: @grpc/grpc-js-xds carries no file of that name, and ${kept} does not exist`,
      { cause },
    );
  }
}

function trimmedMessages(): { type: DescMessage; original: DescMessage }[] {
  return trimmed.flatMap(([, file]) =>
    messages(file).flatMap((type) => {
      const original = originals.getMessage(type.typeName);
      return original === undefined ? [] : [{ type, original }];
    }),
  );
}

function messages(file: DescFile): DescMessage[] {
  return [...nestedTypes(file)].filter((type) => type.kind === 'message');
}
