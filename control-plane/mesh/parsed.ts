import type { Problems } from './field.ts';

/** What became of one object. */
export type Parsed<Value> =
  /** `warnings` say what of the object is left out. */
  | { readonly outcome: 'accepted'; readonly value: Value; readonly warnings: readonly string[] }
  | {
      readonly outcome: 'rejected';
      readonly problems: readonly string[];
      /** What is certain of an object that cannot be read: that it exists, for instance. */
      readonly certain?: Value;
    };

/** The value, unless something is wrong with it. */
export function parsed<Value>(value: Value, problems: Problems, warnings: Problems): Parsed<Value> {
  return problems.isEmpty
    ? { outcome: 'accepted', value, warnings: warnings.sentences }
    : { outcome: 'rejected', problems: problems.sentences };
}

/** The same, and what is certain where something is wrong. */
export function parsedOr<Value>(certain: Value, result: Parsed<Value>): Parsed<Value> {
  return result.outcome === 'rejected' ? { ...result, certain } : result;
}
