import * as v from 'valibot';

/** The kinds of fields that the bootstrap is made of, each with its message for what is wrong. */

export const received = (input: unknown): string => JSON.stringify(input) ?? 'nothing';

export const text = v.string(({ input }) => `must be text, and is ${received(input)}`);

export const yesOrNo = v.boolean(({ input }) => `must be true or false, and is ${received(input)}`);

export function whole(lowest: number, highest: number, unit: string) {
  const message = ({ input }: { readonly input: unknown }): string =>
    `must be a ${unit} from ${lowest} to ${highest}, and is ${received(input)}`;
  return v.pipe(
    v.number(message),
    v.check((value) => Number.isInteger(value) && value >= lowest && value <= highest, message),
  );
}

export const portNumber = whole(0, 65_535, 'port number');
export const milliseconds = whole(1, 86_400_000, 'whole number of milliseconds');

export function oneOf<const Options extends readonly string[]>(options: Options) {
  return v.picklist(
    options,
    ({ input }) => `must be one of ${options.join(', ')}, and is ${received(input)}`,
  );
}

export function section<Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, ({ input }) =>
    // A field that is missing is reported by the object that it is missing from.
    input === undefined
      ? 'is missing: give it a value'
      : `must be an object with fields, and is ${received(input)}`,
  );
}

export function list<Item extends v.GenericSchema>(item: Item) {
  return v.array(item, ({ input }) => `must be a list, and is ${received(input)}`);
}
