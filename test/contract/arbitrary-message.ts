import type { DescField, DescMessage, Message } from '@bufbuild/protobuf';
import { create, ScalarType, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import * as fc from 'fast-check';

/** Messages of any description, to a few levels of nesting, that have a JSON form. */
export function arbitraryMessage(type: DescMessage, depth = 3): fc.Arbitrary<Message> {
  return wellKnown(type) ?? ordinary(type, depth);
}

/** Types whose JSON form restricts which values they may hold. */
function wellKnown(type: DescMessage): fc.Arbitrary<Message> | undefined {
  const seconds = fc.integer({ min: 0, max: 1e9 }).map(BigInt);
  switch (type.typeName) {
    case 'google.protobuf.Any':
      return seconds.map((value) =>
        create(type, {
          typeUrl: 'type.googleapis.com/google.protobuf.Duration',
          value: toBinary(DurationSchema, create(DurationSchema, { seconds: value })),
        }),
      );
    case 'google.protobuf.Timestamp':
    case 'google.protobuf.Duration':
      return seconds.map((value) => create(type, { seconds: value }));
    case 'google.protobuf.FieldMask':
      return fc.array(fc.constantFrom('a', 'b.c')).map((paths) => create(type, { paths }));
    case 'google.protobuf.Value':
      return fc.string().map((value) => create(type, { kind: { case: 'stringValue', value } }));
    default:
      return undefined;
  }
}

function ordinary(type: DescMessage, depth: number): fc.Arbitrary<Message> {
  const fields = type.fields.filter((field) => depth > 0 || field.message === undefined);
  const values = fields.map((field) => fc.option(arbitraryField(field, depth), { nil: undefined }));
  return fc.tuple(...values).map((chosen) => {
    const message = reflect(type);
    fields.forEach((field, i) => {
      const value = chosen[i];
      if (value !== undefined) set(message, field, value);
    });
    return message.message;
  });
}

function set(message: ReturnType<typeof reflect>, field: DescField, value: unknown): void {
  if (field.fieldKind === 'list') {
    const list = message.get(field);
    for (const item of value as unknown[]) list.add(reflected(field.message, item));
  } else if (field.fieldKind === 'map') {
    const map = message.get(field);
    for (const [key, item] of value as [string, unknown][]) {
      map.set(key, reflected(field.message, item));
    }
  } else {
    message.set(field, reflected(field.message, value));
  }
}

function reflected(type: DescMessage | undefined, value: unknown): unknown {
  return type === undefined ? value : reflect(type, value as Message);
}

function arbitraryField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const one = arbitraryElement(field, depth);
  if (field.fieldKind === 'list') return fc.array(one, { maxLength: 3 });
  if (field.fieldKind !== 'map') return one;
  if (field.mapKey !== ScalarType.STRING) throw new Error(`${field.toString()}: generate its keys as well`);
  return fc.uniqueArray(fc.tuple(fc.string(), one), { maxLength: 3, selector: ([key]) => key });
}

function arbitraryElement(
  field: Pick<DescField, 'scalar' | 'enum' | 'message'>,
  depth: number,
): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return arbitraryMessage(field.message, depth - 1);
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map((value) => value.number));
  return arbitraryScalar(field.scalar!);
}

function arbitraryScalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return fc.string({ unit: 'grapheme' });
    case ScalarType.BYTES:
      return fc.uint8Array();
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    default:
      throw new Error(`scalar type ${String(type)}: generate its values as well`);
  }
}
