/** A value as it was meant, or a phrase that says what is wrong with it and what to write instead. */
export type Reading<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly what: string };

export function read<T>(value: T): Reading<T> {
  return { ok: true, value };
}

export function misread(what: string): Reading<never> {
  return { ok: false, what };
}

/** All items, or what is wrong with the first that is wrong. */
export function readEach<T>(items: readonly string[], readItem: (item: string) => Reading<T>): Reading<T[]> {
  const values: T[] = [];
  for (const item of items) {
    const reading = readItem(item);
    if (!reading.ok) return reading;
    values.push(reading.value);
  }
  return read(values);
}
