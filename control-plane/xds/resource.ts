import { hash } from 'node:crypto';
import { keptBytes } from './kept-bytes.ts';

/** A typed, versioned message, serialised once for every stream that will ever carry it. */
export interface Resource {
  readonly typeUrl: string;
  readonly name: string;
  /** 16 hexadecimal digits that follow from name and content alone: replicas agree on them. */
  readonly version: string;
  /** A complete entry of `DeltaDiscoveryResponse.resources`: tag, length and message. */
  readonly deltaEntry: Uint8Array;
  /** A complete entry of `DiscoveryResponse.resources`: the tail of the delta entry's bytes. */
  readonly sotwEntry: Uint8Array;
}

/** `value` is the serialised message of the type that the type URL names. */
export function createResource(typeUrl: string, name: string, value: Uint8Array): Resource {
  const version = versionOf(name, value);
  const any = Buffer.concat([stringField(1, typeUrl), lengthPrefix(2, value.length), value]);
  // `Resource.resource` and `DiscoveryResponse.resources` are both field 2 and both an Any, so the bytes of
  // the one are an entry of the other. Fields may come in any order: the Any is put last.
  const head = Buffer.concat([stringField(3, name), stringField(1, version)]);
  const sotwLength = lengthPrefix(2, any.length).length + any.length;
  const deltaEntry = keptBytes([
    lengthPrefix(2, head.length + sotwLength),
    head,
    lengthPrefix(2, any.length),
    any,
  ]);
  return { typeUrl, name, version, deltaEntry, sotwEntry: deltaEntry.subarray(-sotwLength) };
}

/** What a client says it holds, and we do not: a name at a version, without content. */
export function claimedResource(name: string, version: string): Resource {
  const known = VERSION.test(version) ? version : UNKNOWN_VERSION;
  return { typeUrl: '', name, version: known, deltaEntry: NO_BYTES, sotwEntry: NO_BYTES };
}

/** Stands for a version that is none of ours, so that it never equals the current one. */
export const UNKNOWN_VERSION = '0'.repeat(16);

const VERSION = /^[0-9a-f]{16}$/u;

/** The `google.protobuf.Any` of a resource, serialised; empty for a claimed one. */
export function anyOf(resource: Resource): Uint8Array {
  const { sotwEntry } = resource;
  let start = 1;
  while (start < sotwEntry.length && (sotwEntry[start] as number) >= 0x80) start += 1;
  return sotwEntry.subarray(start + 1);
}

const NO_BYTES = new Uint8Array(0);

/** The name is part of what is hashed: a sum of versions then tells sets of names apart as well. */
function versionOf(name: string, value: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\0`), value]), 'hex').slice(0, 16);
}

/** Tag and length of a length-delimited field. */
export function lengthPrefix(field: number, length: number): Buffer {
  const bytes = [...varint(((field << 3) | 2) >>> 0), ...varint(length)];
  return Buffer.from(bytes);
}

export function stringField(field: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([lengthPrefix(field, bytes.length), bytes]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}
