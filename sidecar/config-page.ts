/**
 * What `/config` shows: the bootstrap whole, then every view by its name, without what is nothing in it. A mesh of
 * many Services is mostly ports without a protocol, endpoints without a hint and counts of zero.
 */
export function configPage(
  bootstrap: unknown,
  views: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const shown = Object.entries(views).map(([name, view]) => [name, withoutBlanks(view)]);
  return { bootstrap, ...Object.fromEntries(shown) };
}

/** The value without fields that are zero, empty or undefined. Items of lists stay, so that their count is right. */
function withoutBlanks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutBlanks);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, withoutBlanks(field)] as const);
  return Object.fromEntries(fields.filter(([, field]) => !isBlank(field)));
}

function isBlank(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === '' || value === 0;
}
