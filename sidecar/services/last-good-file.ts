import { createHash } from 'node:crypto';
import * as v from 'valibot';

/** A resource as it came over the wire. */
export interface StoredResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** All that is held of one resource type, and which subscriptions were answered, be it with nothing. */
export interface StoredType {
  readonly typeUrl: string;
  readonly answered: readonly string[];
  readonly resources: readonly StoredResource[];
}

export interface LastGood {
  /** In milliseconds since the epoch. */
  readonly savedMs: number;
  readonly types: readonly StoredType[];
}

export type ParsedLastGood =
  | { readonly ok: true; readonly lastGood: LastGood }
  /** `why` is a phrase that goes after the file's name. */
  | { readonly ok: false; readonly why: string };

const FORMAT = 'cortexflow last good table';
const FORMAT_VERSION = 1;

const Header = v.object({ format: v.literal(FORMAT), version: v.number(), sha256: v.string() });

const Body = v.object({
  savedMs: v.number(),
  types: v.array(
    v.object({
      typeUrl: v.string(),
      answered: v.array(v.string()),
      resources: v.array(v.object({ name: v.string(), version: v.string(), bytes: v.string() })),
    }),
  ),
});

/**
 * The content of the file: a line that says what it is and what the rest hashes to, then the rest. Resources
 * stay as they came, so that a newer sidecar finds in them what this one does not know.
 */
export function formatLastGood({ savedMs, types }: LastGood): string {
  const body = JSON.stringify({
    savedMs,
    types: types.map((type) => ({
      ...type,
      resources: type.resources.map(({ name, version, bytes }) => ({
        name,
        version,
        bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
      })),
    })),
  });
  const header = { format: FORMAT, version: FORMAT_VERSION, sha256: sha256(body) };
  return `${JSON.stringify(header)}\n${body}`;
}

/** Reads what `formatLastGood` wrote, whole and unaltered, or says why not. */
export function parseLastGood(content: string): ParsedLastGood {
  const endOfHeader = content.indexOf('\n');
  const header = v.safeParse(Header, parseJson(content.slice(0, Math.max(endOfHeader, 0))));
  if (!header.success) {
    return { ok: false, why: 'is not a last good table' };
  }
  const { version } = header.output;
  if (version !== FORMAT_VERSION) {
    return { ok: false, why: `has format ${version}, and this sidecar reads format ${FORMAT_VERSION}` };
  }
  const body = content.slice(endOfHeader + 1);
  if (sha256(body) !== header.output.sha256) {
    return { ok: false, why: 'is damaged: its checksum does not match its content' };
  }
  const parsed = v.safeParse(Body, parseJson(body));
  if (!parsed.success) {
    return { ok: false, why: 'has a sound checksum and a content that makes no sense' };
  }
  const types = parsed.output.types.map((type) => ({
    ...type,
    resources: type.resources.map(({ name, version: held, bytes }) => ({
      name,
      version: held,
      bytes: Buffer.from(bytes, 'base64'),
    })),
  }));
  return { ok: true, lastGood: { savedMs: parsed.output.savedMs, types } };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
