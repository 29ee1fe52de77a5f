/** Why one object did not enter the mesh, or entered it without some part: every problem of it at once. */
export interface Rejection {
  /** `Service demo/hello` */
  readonly object: string;
  /** Where it was read, e.g. `examples/hello/hello.yaml:12`. */
  readonly origin: string | undefined;
  /** Each says which field, what is wrong with it and what to do. */
  readonly problems: readonly string[];
}

/** Whether two rejections say the same, so that nobody needs to be told again. */
export function sameRejection(a: Rejection | undefined, b: Rejection | undefined): boolean {
  return (
    a?.object === b?.object && a?.origin === b?.origin && a?.problems.join('\n') === b?.problems.join('\n')
  );
}

/** One line for a log or a terminal. */
export function formatRejection({ object, origin, problems }: Rejection): string {
  return `${object}${origin === undefined ? '' : ` (${origin})`}: ${problems.join('; ')}`;
}
