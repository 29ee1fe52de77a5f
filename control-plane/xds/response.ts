import { stringField } from './resource.ts';
import type { ResourceSet } from './resource-set.ts';
import type { Content } from './target.ts';

/** One response, serialised, its nonce last. */
export interface Response {
  readonly id: number;
  readonly nonce: string;
  readonly bytes: Buffer;
  /** All but the nonce: what is the same for whoever is sent this. */
  readonly body: Buffer;
}

/** Which message a response is, and the fields in which the two differ. */
export type Protocol = 'delta' | 'sotw';

/** `DeltaDiscoveryResponse` and `DiscoveryResponse` number these alike. */
const VERSION = 1;
const TYPE_URL = 4;
const NONCE = 5;
const REMOVED = 6;

/** Serialises a response of one type at one version, to be shared by all streams that are sent this content. */
export function serialise(
  {
    typeUrl,
    protocol,
    set,
  }: { readonly typeUrl: string; readonly protocol: Protocol; readonly set: ResourceSet },
  content: Content,
  id: number,
): Response {
  const entries = content.upserts.map((resource) =>
    protocol === 'delta' ? resource.deltaEntry : resource.sotwEntry,
  );
  const removed = protocol === 'delta' ? content.removals.map((name) => stringField(REMOVED, name)) : [];
  const body = [stringField(VERSION, set.version), stringField(TYPE_URL, typeUrl), ...entries, ...removed];
  return withNonce(body, id);
}

/** The same response for a stream that has seen this nonce, or a later one, before. */
export function renonce({ body }: Response, id: number): Response {
  return withNonce([body], id);
}

function withNonce(body: readonly Uint8Array[], id: number): Response {
  const nonce = nonceOf(id);
  const last = stringField(NONCE, nonce);
  const bytes = Buffer.concat([...body, last]);
  return { id, nonce, bytes, body: bytes.subarray(0, bytes.length - last.length) };
}

function nonceOf(id: number): string {
  return id.toString(36);
}
