import { BinaryReader } from '@bufbuild/protobuf/wire';
import { EMPTY_SET, findResource, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { claimedResource } from './resource.ts';
import type { Resource } from './resource.ts';

/** What a client that comes back says it holds already: `initial_resource_versions`. */
export interface Claims {
  readonly count: number;
  /** The claims as a set of resources; the current one itself, where they are all of it. */
  resolve(current: ResourceSet): ResourceSet;
}

export const NO_CLAIMS: Claims = { count: 0, resolve: () => EMPTY_SET };

/** Map entries of `initial_resource_versions` as they came, each a name (field 1) and a version (field 2). */
export function claimsOf(entries: readonly Uint8Array[]): Claims {
  if (entries.length === 0) return NO_CLAIMS;
  return {
    count: entries.length,
    resolve: (current) => (isAllOf(entries, current) ? current : claimedSet(entries, current)),
  };
}

/**
 * Are these the versions of exactly this set? Asked first, because after an interruption it is true of nearly
 * all clients: the sum of the claimed versions is compared with that of the set, and no name is looked up.
 */
function isAllOf(entries: readonly Uint8Array[], set: ResourceSet): boolean {
  if (entries.length !== set.size) return false;
  let high = 0;
  let low = 0;
  for (const entry of entries) {
    const version = versionIn(entry);
    if (version === undefined) return false;
    const upper = hexadecimal(version, 0);
    const lower = hexadecimal(version, 8);
    if (upper < 0 || lower < 0) return false;
    high += upper;
    low += lower;
  }
  high += Math.floor(low / 2 ** 32);
  return set.digest === ((BigInt(high % 2 ** 32) << 32n) | BigInt(low % 2 ** 32));
}

/** The last 16 bytes of an entry whose fields came in order, as every known encoder writes them. */
function versionIn(entry: Uint8Array): Uint8Array | undefined {
  const tag = entry.length - 18;
  return entry[tag] === VERSION_TAG && entry[tag + 1] === 16 ? entry.subarray(-16) : undefined;
}

const VERSION_TAG = (2 << 3) | 2;

/** Eight digits; -1 where one is none. */
function hexadecimal(digits: Uint8Array, from: number): number {
  let value = 0;
  for (let at = from; at < from + 8; at += 1) {
    const digit = DIGITS[digits[at] as number] as number;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const DIGITS = Int8Array.from({ length: 256 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCodePoint(code)),
);

function claimedSet(entries: readonly Uint8Array[], current: ResourceSet): ResourceSet {
  const claimed = new Map<string, Resource>();
  for (const entry of entries) {
    const { name, version } = readEntry(entry);
    const known = findResource(current, name);
    claimed.set(name, known?.version === version ? known : claimedResource(name, version));
  }
  return withResources(EMPTY_SET, claimed);
}

function readEntry(entry: Uint8Array): { readonly name: string; readonly version: string } {
  const reader = new BinaryReader(entry);
  let name = '';
  let version = '';
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) name = reader.string();
    else if (field === 2) version = reader.string();
    else reader.skip(wireType, field);
  }
  return { name, version };
}
