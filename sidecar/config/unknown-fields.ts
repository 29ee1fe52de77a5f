import { nearestWord } from '../../process/nearest-word.ts';
import type { FieldPath, Mistake } from './mistakes.ts';

/** The parts of a valibot schema that say which fields there are. */
interface Shape {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly wrapped?: Shape;
}

/**
 * Fields that mean nothing, all of them: a schema would either let them pass or stop at the first.
 */
export function unknownFields(
  shape: Shape,
  value: unknown,
  path: FieldPath = [],
): { path: FieldPath; what: string }[] {
  const { entries, item } = unwrapped(shape);
  if (item !== undefined && Array.isArray(value)) {
    return value.flatMap((element, index) => unknownFields(item, element, [...path, index]));
  }
  if (entries === undefined || typeof value !== 'object' || value === null) {
    return [];
  }
  if (Array.isArray(value)) {
    // To valibot a list is an object, too.
    return [{ path, what: 'must be an object with fields, and is a list' }];
  }
  return Object.entries(value).flatMap(([name, field]) => {
    const known = Object.hasOwn(entries, name) ? entries[name] : undefined;
    return known === undefined
      ? [{ path: [...path, name], what: isNoField(name, Object.keys(entries)) }]
      : unknownFields(known, field, [...path, name]);
  });
}

function unwrapped(shape: Shape): Shape {
  return shape.wrapped === undefined ? shape : unwrapped(shape.wrapped);
}

function isNoField(name: string, known: readonly string[]): Mistake['what'] {
  const meant = nearestWord(name, known);
  return meant === undefined
    ? `is no field there: the fields are ${known.join(', ')}`
    : `is no field there: did you mean ${meant}?`;
}
