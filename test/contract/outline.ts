import type { DescEnum, DescField, DescFile, DescMessage, DescMethod } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';

/**
 * What a file of protos means on the wire (binary and JSON), one fact a line, with full names. A file
 * is a wire-compatible subset of another one when its lines are a subset of the other one's lines.
 */
export function outline(file: DescFile): string[] {
  const lines = [`package ${file.proto.package}`];
  for (const type of nestedTypes(file)) {
    if (type.kind === 'message') lines.push(...messageLines(type));
    else if (type.kind === 'enum') lines.push(...enumLines(type));
    else if (type.kind === 'service') lines.push(...type.methods.map(methodLine));
    else
      throw new Error(
        `${file.name}.proto declares the extension ${type.typeName}: teach outline() to tell it`,
      );
  }
  return lines;
}

function messageLines(message: DescMessage): string[] {
  return [`message ${message.typeName}`, ...message.fields.map(fieldLine)];
}

function fieldLine(field: DescField): string {
  const oneof = field.oneof === undefined ? '' : `, in oneof ${field.oneof.name}`;
  return `field ${field.parent.typeName}.${field.name} = ${field.number}, JSON ${field.jsonName}: ${shape(field)}${oneof}`;
}

function shape(field: DescField): string {
  switch (field.fieldKind) {
    case 'map':
      return `map<${ScalarType[field.mapKey].toLowerCase()}, ${elementType(field, field.mapKind)}>`;
    case 'list':
      return `${field.packed ? 'packed ' : ''}repeated ${elementType(field, field.listKind)}`;
    default:
      return `${field.presence === FeatureSet_FieldPresence.IMPLICIT ? 'implicit' : 'explicit'} ${elementType(field, field.fieldKind)}`;
  }
}

function elementType(
  field: Pick<DescField, 'scalar' | 'enum' | 'message'>,
  kind: 'scalar' | 'enum' | 'message',
): string {
  if (kind === 'scalar') return ScalarType[field.scalar!].toLowerCase();
  return kind === 'enum' ? `enum ${field.enum!.typeName}` : `message ${field.message!.typeName}`;
}

function enumLines(type: DescEnum): string[] {
  return [
    `enum ${type.typeName}, ${type.open ? 'open' : 'closed'}`,
    ...type.values.map((value) => `value ${type.typeName}.${value.name} = ${value.number}`),
  ];
}

function methodLine(method: DescMethod): string {
  return `method ${method.parent.typeName}/${method.name}, ${method.methodKind}: ${method.input.typeName} → ${method.output.typeName}`;
}
