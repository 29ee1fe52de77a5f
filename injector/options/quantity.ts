import { excerpt } from './excerpt.ts';
import { misread, read, type Reading } from './reading.ts';

/** An amount as Kubernetes writes it (resource.Quantity), and its value to compare by, in billionths. */
export interface Quantity {
  readonly text: string;
  readonly nanos: bigint;
}

/** Powers of ten in billionths: the SI suffixes. */
const DECIMAL: Readonly<Record<string, number>> = {
  n: 0,
  u: 3,
  m: 6,
  '': 9,
  k: 12,
  M: 15,
  G: 18,
  T: 21,
  P: 24,
  E: 27,
};
/** Powers of 1024. */
const BINARY: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };

const QUANTITY =
  /^(?<whole>\d{0,18})(?:\.(?<fraction>\d{0,18}))?(?<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?$/u;

const MEBIBYTE = 1024n ** 2n * 1_000_000_000n;

/** Cores: `100m`, `0.5`, `2`. */
export function readCpu(text: string): Reading<Quantity> {
  const quantity = parseQuantity(text);
  if (quantity === undefined) {
    return misread('is no amount of CPU: write thousandths of a core such as 100m, or cores such as 0.5');
  }
  if (quantity.nanos % 1_000_000n !== 0n) {
    return misread('is finer than a thousandth of a core: write whole thousandths, such as 10m');
  }
  return read(quantity);
}

/** Bytes: `64Mi`, `128M`. */
export function readMemory(text: string): Reading<Quantity> {
  const quantity = parseQuantity(text);
  if (quantity === undefined) {
    return misread('is no amount of memory: write mebibytes such as 64Mi, or bytes');
  }
  if (quantity.nanos > 0n && quantity.nanos < MEBIBYTE) {
    // 64m is 64 thousandths of a byte, and the commonest of these mistakes.
    return misread(`is less than a mebibyte: did you mean ${excerpt(`${text.replace(/\D.*$/u, '')}Mi`)}?`);
  }
  return read(quantity);
}

/** Undefined where it is no quantity, or one below zero. */
export function parseQuantity(text: string): Quantity | undefined {
  const { whole = '', fraction = '', suffix = '' } = QUANTITY.exec(text)?.groups ?? {};
  if (whole === '' && fraction === '') return undefined;
  const mantissa = BigInt(whole + fraction);
  const binary = BINARY[suffix];
  const scaled =
    binary === undefined
      ? shifted(mantissa, exponentOf(suffix) - fraction.length)
      : shifted(mantissa * 1024n ** BigInt(binary), 9 - fraction.length);
  return { text, nanos: scaled };
}

function exponentOf(suffix: string): number {
  return DECIMAL[suffix] ?? 9 + Number(suffix.slice(1));
}

/** Times a power of ten; what is finer than a billionth is rounded up, as Kubernetes does. */
function shifted(value: bigint, exponent: number): bigint {
  if (exponent >= 0) return value * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  return (value + divisor - 1n) / divisor;
}
