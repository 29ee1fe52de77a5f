import { fromBinary } from '@bufbuild/protobuf';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { CLAIMS_FIELD, isPlainClaim } from './claim-entries.ts';
import type { ClaimEntries } from './claim-entries.ts';
import { FieldCursor } from './field-cursor.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { readName } from './name-cache.ts';

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
  readonly claims: ClaimEntries;
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
  const fields = new Fields(bytes, { names: [3, 4], most: limits.subscriptions + 1, claims: CLAIMS_FIELD });
  fields.checkNames(3, limits);
  fields.checkNames(4, limits);
  fields.check('claims', fields.claims.count, limits);
  return {
    node: fields.bytes(1),
    typeUrl: fields.text(2),
    subscribe: fields.texts(3),
    unsubscribe: fields.texts(4),
    claims: fields.claims,
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
 * Reads requests and remembers the last few: a response that went to many streams comes back as many
 * acknowledgements that are the same to the byte, and sidecars with the same names open their streams alike.
 */
export class RequestReader<R extends Request> {
  readonly #read: (bytes: Buffer) => R;
  readonly #small = new RecentRequests<R>(4);
  readonly #large = new RecentRequests<R>(8);

  constructor(read: (bytes: Buffer) => R) {
    this.#read = read;
  }

  read(bytes: Buffer): R {
    if (bytes.length > REMEMBERED_BYTES) return this.#read(bytes);
    const recent = bytes.length > SMALL_REQUEST ? this.#large : this.#small;
    const known = recent.find(bytes);
    if (known !== undefined) return known;
    // A copy, since what was read refers to it and would keep the connection's whole buffer.
    const copy = Buffer.from(bytes);
    const request = this.#read(copy);
    recent.add(copy, request);
    return request;
  }
}

/** The last so many requests of one kind, each with its bytes. */
class RecentRequests<R> {
  readonly #entries: { readonly bytes: Buffer; readonly request: R }[] = [];
  readonly #size: number;
  #oldest = 0;

  constructor(size: number) {
    this.#size = size;
  }

  find(bytes: Buffer): R | undefined {
    for (const known of this.#entries) if (known.bytes.equals(bytes)) return known.request;
    return undefined;
  }

  add(bytes: Buffer, request: R): void {
    this.#entries[this.#oldest] = { bytes, request };
    this.#oldest = (this.#oldest + 1) % this.#size;
  }
}

/** Apart, so that acknowledgements do not displace what a client begins with. */
const SMALL_REQUEST = 256;
/** A first request with 1,000 names and as many claims takes 80 KB. */
const REMEMBERED_BYTES = 128 << 10;

/** Reads a `DiscoveryRequest`; throws where the bytes are none, and `OverLimit` before any of its names is read. */
export function readSotwRequest(bytes: Buffer, limits: RequestLimits = DEFAULT_LIMITS): SotwRequest {
  const fields = new Fields(bytes, { names: [3], most: limits.subscriptions + 1, claims: undefined });
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

/** Which fields of a message are kept as what. Of all others the last one counts. */
interface Layout {
  /** Repeated fields; those beyond `most` are counted and not kept. */
  readonly names: readonly number[];
  readonly most: number;
  /** The field whose entries are checked and counted, and read later. */
  readonly claims: number | undefined;
}

/** The length-delimited fields of one message, by number. */
class Fields {
  readonly #values: (Buffer[] | undefined)[] = [];
  readonly #left = new Map<number, number>();
  readonly #message: Buffer;
  #claims = 0;
  #firstClaim = 0;

  constructor(message: Buffer, layout: Layout) {
    this.#message = message;
    const cursor = new FieldCursor(message);
    const inner = new FieldCursor(message);
    let from = 0;
    while (cursor.next()) {
      if (cursor.field === layout.claims) {
        checkClaim(message, cursor, inner);
        if (this.#claims === 0) this.#firstClaim = from;
        this.#claims += 1;
      } else if (cursor.field <= LAST_FIELD) {
        this.#keep(cursor, layout);
      }
      from = cursor.end;
    }
  }

  get claims(): ClaimEntries {
    return { count: this.#claims, message: this.#message, from: this.#firstClaim };
  }

  #keep({ field, start, end }: FieldCursor, { names, most }: Layout): void {
    const values = (this.#values[field] ??= []);
    // Kept as bytes: most requests carry none that anybody will ask for.
    if (!names.includes(field)) values[0] = this.#message.subarray(start, end);
    else if (values.length < most) values.push(this.#message.subarray(start, end));
    else this.#left.set(field, (this.#left.get(field) ?? 0) + 1);
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

  bytes(field: number): Buffer | undefined {
    return this.all(field).at(-1);
  }

  text(field: number): string {
    return this.bytes(field)?.toString() ?? '';
  }

  texts(field: number): readonly string[] {
    const values = this.all(field);
    return values.length === 0 ? NO_TEXTS : values.map((value) => readName(value));
  }
}

/** Throws if the bytes of this field are not a message. */
function checkClaim(message: Buffer, { start, end }: FieldCursor, inner: FieldCursor): void {
  if (isPlainClaim(message, start, end)) return;
  inner.seek(start, end);
  while (inner.next());
}

const LAST_FIELD = 7;
const NO_TEXTS: readonly string[] = [];
