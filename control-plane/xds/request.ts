import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { claimsOf } from './claims.ts';
import type { Claims } from './claims.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';

/** What both kinds of request have. */
export interface Request {
  /** `envoy.config.core.v3.Node`, serialised; only the first request of a stream has to carry it. */
  readonly node: Uint8Array | undefined;
  readonly typeUrl: string;
  /** The response that this acknowledges or rejects; empty for none. */
  readonly nonce: string;
  /** Present: the response was rejected. */
  readonly error: Status | undefined;
}

export interface DeltaRequest extends Request {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly claims: Claims;
}

export interface SotwRequest extends Request {
  readonly names: readonly string[];
}

/**
 * Reads a `DeltaDiscoveryRequest`; throws where the bytes are none. Written by hand because nearly every
 * request is an acknowledgement of two short strings, and the claims of a client that comes back need not
 * become strings at all. Unknown fields are skipped. Throws `OverLimit` before any of its names is read.
 */
export function readDeltaRequest(bytes: Buffer, limits: RequestLimits = DEFAULT_LIMITS): DeltaRequest {
  const fields = new Fields(bytes, Math.max(limits.subscriptions + 1, limits.claims));
  fields.checkNames(3, limits);
  fields.checkNames(4, limits);
  fields.check('claims', fields.count(5), limits);
  return {
    node: fields.bytes(1),
    typeUrl: fields.text(2),
    subscribe: fields.texts(3),
    unsubscribe: fields.texts(4),
    claims: claimsOf(fields.all(5)),
    nonce: fields.text(6),
    error: readStatus(fields.bytes(7)),
  };
}

export type RequestLimits = Pick<Limits, 'subscriptions' | 'subscriptionBytes' | 'claims'>;

/** A request that alone is more than a whole stream may ask for. */
export class OverLimit extends Error {
  override readonly name = 'OverLimit';
  readonly limit: keyof RequestLimits;
  readonly value: number;

  constructor(limit: keyof RequestLimits, value: number) {
    super(`${value} is more than limits.${limit} allows`);
    this.limit = limit;
    this.value = value;
  }
}

/**
 * Reads requests and remembers the last few small ones: a response that went to many streams comes back as many
 * acknowledgements that are the same to the byte.
 */
export class RequestReader<R extends Request> {
  readonly #read: (bytes: Buffer) => R;
  readonly #recent: { readonly bytes: Buffer; readonly request: R }[] = [];
  #oldest = 0;

  constructor(read: (bytes: Buffer) => R) {
    this.#read = read;
  }

  read(bytes: Buffer): R {
    if (bytes.length > SMALL_REQUEST) return this.#read(bytes);
    for (const known of this.#recent) if (known.bytes.equals(bytes)) return known.request;
    // A copy, since what was read refers to it and would keep the connection's whole buffer.
    const copy = Buffer.from(bytes);
    const request = this.#read(copy);
    this.#recent[this.#oldest] = { bytes: copy, request };
    this.#oldest = (this.#oldest + 1) % RECENT_REQUESTS;
    return request;
  }
}

const SMALL_REQUEST = 256;
const RECENT_REQUESTS = 4;

/** Reads a `DiscoveryRequest`; throws where the bytes are none, and `OverLimit` before any of its names is read. */
export function readSotwRequest(bytes: Buffer, limits: RequestLimits = DEFAULT_LIMITS): SotwRequest {
  const fields = new Fields(bytes, limits.subscriptions + 1);
  fields.checkNames(3, limits);
  return {
    node: fields.bytes(2),
    names: fields.texts(3),
    typeUrl: fields.text(4),
    nonce: fields.text(5),
    error: readStatus(fields.bytes(6)),
  };
}

function readStatus(bytes: Uint8Array | undefined): Status | undefined {
  return bytes === undefined ? undefined : fromBinary(StatusSchema, bytes);
}

const NONE: readonly Buffer[] = [];

/** The length-delimited fields of one message, by number. Repeated ones beyond `most` are counted and not kept. */
class Fields {
  readonly #values: (Buffer[] | undefined)[] = [];
  readonly #left = new Map<number, number>();

  constructor(message: Buffer, most: number) {
    const reader = new BinaryReader(message);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (wireType !== WireType.LengthDelimited || field > LAST_FIELD) {
        reader.skip(wireType, field);
        continue;
      }
      const length = reader.uint32();
      const start = reader.pos;
      if (start + length > reader.len) throw new RangeError(`field ${field} is longer than its message`);
      reader.pos = start + length;
      // Repeated fields are kept as bytes: most requests carry none that anybody will ask for.
      const values = (this.#values[field] ??= []);
      if (values.length < most) values.push(message.subarray(start, start + length));
      else this.#left.set(field, (this.#left.get(field) ?? 0) + 1);
    }
  }

  count(field: number): number {
    return this.all(field).length + (this.#left.get(field) ?? 0);
  }

  /** The wildcard comes on top of what may be subscribed to. */
  checkNames(field: number, limits: RequestLimits): void {
    const names = this.count(field);
    if (names > limits.subscriptions + 1) throw new OverLimit('subscriptions', names);
    const bytes = this.all(field).reduce((sum, name) => sum + name.length, 0);
    this.check('subscriptionBytes', bytes, limits);
  }

  check(limit: keyof RequestLimits, value: number, limits: RequestLimits): void {
    if (value > limits[limit]) throw new OverLimit(limit, value);
  }

  all(field: number): readonly Buffer[] {
    return this.#values[field] ?? NONE;
  }

  /** Of a field that is there several times, the last counts. */
  bytes(field: number): Buffer | undefined {
    return this.all(field).at(-1);
  }

  text(field: number): string {
    return this.bytes(field)?.toString() ?? '';
  }

  texts(field: number): readonly string[] {
    const values = this.all(field);
    return values.length === 0 ? NO_TEXTS : values.map((value) => value.toString());
  }
}

const LAST_FIELD = 7;
const NO_TEXTS: readonly string[] = [];
