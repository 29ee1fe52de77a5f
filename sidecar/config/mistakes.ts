/** The path of a field, outermost first; list items by their index. */
export type FieldPath = readonly (string | number)[];

export interface Mistake {
  /** File and field, or the name of a variable. */
  readonly where: string;
  /** A phrase that goes after `where`: what is wrong and what to do about it. */
  readonly what: string;
}

/** `upstreams[0].listen` */
export function fieldName(path: FieldPath): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('');
}

/** All mistakes as one text for whoever started the program. */
export function describeMistakes(mistakes: readonly Mistake[]): string {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
  return [
    `The sidecar's configuration has ${count}:`,
    ...mistakes.map(({ where, what }) => `  ${where} ${what}`),
  ].join('\n');
}
