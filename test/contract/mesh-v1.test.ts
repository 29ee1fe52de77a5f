import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescEnum, DescExtension, DescMessage, DescService, JsonObject } from '@bufbuild/protobuf';
import { createRegistry, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import test from 'ava';
import {
  ENDPOINTS_TYPE_URL,
  endpointsCollection,
  endpointsName,
  NODE_TYPE_URL,
  SERVICE_TYPE_URL,
  serviceName,
} from '../../wire/resource-kinds.ts';
import { ourFiles } from './our-files.ts';

interface Example {
  readonly message: string;
  readonly json: JsonObject;
  readonly hex: string;
}

// Control planes and sidecars of different releases meet on one wire: what was once written must be
// read, and written again, in the same bytes. buf breaking guards the definitions; this guards the bytes.
const examples: readonly Example[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'mesh-v1.golden.json'), 'utf8'),
);
const files = [...(await ourFiles()).values()].filter((file) => file.proto.package === 'cortexflow.mesh.v1');
const registry = createRegistry(...files);

for (const [i, example] of examples.entries()) {
  test(`golden ${i}: the bytes of ${example.message} stay as they are`, (t) => {
    const type = messageType(example.message);
    const hex = Buffer.from(toBinary(type, fromJson(type, example.json))).toString('hex');
    t.is(
      hex,
      example.hex,
      'The wire format of a released kind has changed: programs of other releases will misread it. Undo the ' +
        'change; a new meaning takes a new field with a new number. Only where nothing that was released ' +
        'speaks the old form: replace "hex" in test/contract/mesh-v1.golden.json by what is written now.',
    );
    t.deepEqual(toJson(type, fromBinary(type, Buffer.from(example.hex, 'hex'))), example.json);
  });
}

test('every message, field and enum value of ours is in a golden example', (t) => {
  const seen = new Set<string>();
  for (const { message, json } of examples) collect(messageType(message), json, seen);
  const missing = files
    .flatMap((file) => Array.from(nestedTypes(file)))
    .flatMap(parts)
    .filter((name) => !seen.has(name));
  t.deepEqual(
    missing,
    [],
    'Add an example that uses them, with its bytes, to test/contract/mesh-v1.golden.json.',
  );
});

test('type URLs and resource names stay as they are', (t) => {
  t.is(NODE_TYPE_URL, 'type.googleapis.com/cortexflow.mesh.v1.Node');
  t.is(SERVICE_TYPE_URL, 'type.googleapis.com/cortexflow.mesh.v1.Service');
  t.is(ENDPOINTS_TYPE_URL, 'type.googleapis.com/cortexflow.mesh.v1.Endpoints');
  const service = serviceName('demo', 'hello');
  t.is(service, 'demo/hello');
  t.is(endpointsName(service, 'hello-x7k2p'), 'demo/hello/hello-x7k2p');
  t.is(endpointsCollection(service), 'demo/hello/*');
});

function messageType(name: string): DescMessage {
  const type = registry.getMessage(name);
  if (type === undefined) throw new Error(`${name} is gone: a released kind is never removed or renamed`);
  return type;
}

function parts(type: DescMessage | DescEnum | DescExtension | DescService): string[] {
  if (type.kind === 'message') return type.fields.map((field) => `${type.typeName}.${field.jsonName}`);
  if (type.kind !== 'enum') return [];
  return type.values.filter(({ number }) => number !== 0).map((value) => `${type.typeName}.${value.name}`);
}

/** Notes the fields and enum values that a message's JSON names, at any depth. */
function collect(type: DescMessage, json: JsonObject, seen: Set<string>): void {
  for (const field of type.fields) {
    const value = json[field.jsonName];
    if (value === undefined) continue;
    seen.add(`${type.typeName}.${field.jsonName}`);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (field.enum !== undefined && typeof one === 'string') seen.add(`${field.enum.typeName}.${one}`);
      else if (isObject(one) && field.message !== undefined) collect(field.message, one, seen);
    }
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null;
}
