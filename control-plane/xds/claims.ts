import { BinaryReader } from '@bufbuild/protobuf/wire';
import { EMPTY_SET, findResource, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { claimedResource } from './resource.ts';
import type { Resource } from './resource.ts';

/** What a client that comes back says it holds already: `initial_resource_versions`. */
export interface Claims {
  readonly count: number;
  /** The claims as a set of resources: one of ours, where they are all of it. */
  resolve(history: History): ResourceSet;
}

/** The sets of a type that were current lately, by their versions, and the one that is. */
export interface History {
  readonly set: ResourceSet;
  readonly recent: ReadonlyMap<string, ResourceSet>;
}

export const NO_CLAIMS: Claims = { count: 0, resolve: () => EMPTY_SET };

/**
 * Map entries of `initial_resource_versions` as they came, each a name (field 1) and a version (field 2). Throws
 * where one is none.
 */
export function claimsOf(entries: readonly Uint8Array[]): Claims {
  if (entries.length === 0) return NO_CLAIMS;
  for (const entry of entries) if (!isPlain(entry)) readEntry(entry);
  return {
    count: entries.length,
    resolve: (history) => knownSet(entries, history) ?? claimedSet(entries, history.set),
  };
}

/**
 * The set of ours that these versions are exactly. Asked first, because after an interruption nearly all clients
 * hold what we sent lately: the sum of the claimed versions is looked up as that of a set, and no name is. A
 * client that made up its claims fools itself only.
 */
function knownSet(entries: readonly Uint8Array[], { set, recent }: History): ResourceSet | undefined {
  const version = sumOfVersions(entries);
  if (version === undefined) return undefined;
  const known = version === set.version ? set : recent.get(version);
  return known?.size === entries.length ? known : undefined;
}

/** Undefined where a version is none of ours. */
function sumOfVersions(entries: readonly Uint8Array[]): string | undefined {
  let high = 0;
  let low = 0;
  for (const entry of entries) {
    if (!hasVersionLast(entry)) return undefined;
    const upper = hexadecimal(entry, entry.length - 16);
    const lower = hexadecimal(entry, entry.length - 8);
    if (upper < 0 || lower < 0) return undefined;
    high += upper;
    low += lower;
  }
  high += Math.floor(low / 2 ** 32);
  return lowDigits(high) + lowDigits(low);
}

/** The low 32 bits as hexadecimal digits. */
function lowDigits(value: number): string {
  return (value % 2 ** 32).toString(16).padStart(8, '0');
}

/** Are the last 16 bytes the version? So it is where the fields came in order, as every known encoder writes them. */
function hasVersionLast(entry: Uint8Array): boolean {
  const tag = entry.length - 18;
  return entry[tag] === VERSION_TAG && entry[tag + 1] === 16;
}

/** A name of less than 128 bytes and a version of ours, and nothing else: what most entries are. */
function isPlain(entry: Uint8Array): boolean {
  return entry[0] === NAME_TAG && entry[1] === entry.length - 20 && hasVersionLast(entry);
}

const NAME_TAG = (1 << 3) | 2;
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
