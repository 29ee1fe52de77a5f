/** A scalar as JSON can hold it; an integer keeps all of its digits. */
export type Scalar = null | boolean | string | bigint | number;

/**
 * What kubectl makes of a plain scalar: YAML 1.1 as `sigs.k8s.io/yaml` resolves it, in which `0120` is 80 and
 * `yes` is true.
 */
export function resolvePlain(text: string): Scalar {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  const digits = text.replaceAll('_', '');
  if (text.startsWith('.')) return POINT_FIRST.test(text) ? finite(text) : text;
  if (!/^[-+0-9]/.test(text)) return text;
  const integer = readInteger(digits);
  if (integer !== undefined) return integer;
  return FLOAT.test(digits) ? finite(digits, text) : text;
}

const POINT_FIRST = /^\.[0-9]+([eE][-+]?[0-9]+)?$/;
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;

/** What is too large for a float stays text. */
function finite(digits: string, text = digits): Scalar {
  const value = Number(digits);
  return Number.isFinite(value) ? value : text;
}

/** An integer in Go's notation, in which a leading zero means octal; undefined where it is none of 64 bits. */
function readInteger(digits: string): bigint | undefined {
  for (const [prefix, pattern] of Object.entries(NOTATIONS)) {
    const [, sign, magnitude] = pattern.exec(digits) ?? [];
    if (magnitude === undefined) continue;
    const value = BigInt(prefix + magnitude) * (sign === '-' ? -1n : 1n);
    const largest = sign === '' ? MOST_UINT64 : MOST_INT64;
    return value < -MOST_INT64 - 1n || value > largest ? undefined : value;
  }
  return undefined;
}

export const MOST_INT64 = 2n ** 63n - 1n;
const MOST_UINT64 = 2n ** 64n - 1n;

/** By the prefix that JavaScript has for it; leading zeros aside, no number of 64 bits has more than 64 digits. */
const NOTATIONS: Readonly<Record<string, RegExp>> = {
  '0x': /^([-+]?)0[xX]0*([0-9a-fA-F]{1,64})$/,
  '0b': /^([-+]?)0[bB]0*([01]{1,64})$/,
  '0o': /^([-+]?)0[oO]?0*([0-7]{1,64})$/,
  '': /^([-+]?)(0|[1-9][0-9]{0,63})$/,
};

const WORDS: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ...spellings(true, 'y', 'yes', 'true', 'on'),
  ...spellings(false, 'n', 'no', 'false', 'off'),
  ...spellings(null, 'null'),
  ['', null],
  ['~', null],
  ['.nan', NaN],
  ['.NaN', NaN],
  ['.NAN', NaN],
  ...['.inf', '.Inf', '.INF'].flatMap((text): [string, number][] => [
    [text, Infinity],
    [`+${text}`, Infinity],
    [`-${text}`, -Infinity],
  ]),
]);

/** `yes`, `Yes` and `YES`. */
function spellings(value: Scalar, ...words: readonly string[]): [string, Scalar][] {
  return words.flatMap((word): [string, Scalar][] => [
    [word, value],
    [word.charAt(0).toUpperCase() + word.slice(1), value],
    [word.toUpperCase(), value],
  ]);
}
