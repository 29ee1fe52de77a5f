import type { Problems } from './field.ts';

/** What became of one object. */
export type Parsed<Value> =
  /** `warnings` say what of the object is left out. */
  | { readonly outcome: 'accepted'; readonly value: Value; readonly warnings: readonly string[] }
  | { readonly outcome: 'rejected'; readonly problems: readonly string[] };

/** The value, unless something is wrong with it. */
export function parsed<Value>(value: Value, problems: Problems, warnings: Problems): Parsed<Value> {
  return problems.isEmpty
    ? { outcome: 'accepted', value, warnings: warnings.sentences }
    : { outcome: 'rejected', problems: problems.sentences };
}
