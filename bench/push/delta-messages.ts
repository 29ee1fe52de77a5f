import { create, toBinary } from '@bufbuild/protobuf';
import { DeltaDiscoveryRequestSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';

/** A request that begins or changes a subscription. */
export function subscribeRequest(
  typeUrl: string,
  names: readonly string[],
  versions: Readonly<Record<string, string>> = {},
): Buffer {
  return Buffer.from(
    toBinary(
      DeltaDiscoveryRequestSchema,
      create(DeltaDiscoveryRequestSchema, {
        node: { id: 'bench', cluster: 'bench' },
        typeUrl,
        resourceNamesSubscribe: [...names],
        initialResourceVersions: versions,
      }),
    ),
  );
}

const TYPE_URL = 4;
const RESOURCES = 2;
const NONCE = 5;

/** What a client of the benchmark wants to know of a DeltaDiscoveryResponse. Refilled for each. */
export class DeltaResponse {
  typeUrl = '';
  /** The message is `bytes[start, end)`, and only until the observer returns. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  nonceStart = 0;
  nonceEnd = 0;
  resources = 0;
  resourceBytes = 0;
  #at = 0;
  readonly #types: readonly { readonly name: string; readonly bytes: Buffer }[];

  constructor(knownTypeUrls: readonly string[]) {
    this.#types = knownTypeUrls.map((name) => ({ name, bytes: Buffer.from(name) }));
  }

  /** Looks only at the fields of the outermost message. */
  read(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.resources = 0;
    this.resourceBytes = 0;
    this.nonceStart = 0;
    this.nonceEnd = 0;
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint(bytes);
      if ((tag & 7) !== 2) throw new Error(`wire type ${tag & 7} in a DeltaDiscoveryResponse`);
      const length = this.#varint(bytes);
      this.#field(tag >>> 3, bytes, length);
      this.#at += length;
    }
  }

  #field(field: number, bytes: Buffer, length: number): void {
    if (field === RESOURCES) {
      this.resources += 1;
      this.resourceBytes += length;
    } else if (field === NONCE) {
      this.nonceStart = this.#at;
      this.nonceEnd = this.#at + length;
    } else if (field === TYPE_URL) {
      this.typeUrl = this.#known(bytes, length);
    }
  }

  #known(bytes: Buffer, length: number): string {
    const end = this.#at + length;
    for (const type of this.#types) {
      if (bytes.compare(type.bytes, 0, type.bytes.length, this.#at, end) === 0) return type.name;
    }
    return bytes.toString('latin1', this.#at, end);
  }

  #varint(bytes: Buffer): number {
    let byte = bytes[this.#at++]!;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = bytes[this.#at++]!;
      value |= (byte & 0x7f) << shift;
    }
    return value;
  }
}

const ACK_TYPE_URL = (2 << 3) | 2;
const ACK_NONCE = (6 << 3) | 2;
const DATA_HEADER = 14;

/** Writes the DATA frame of one type's ACKs: all of it is the same but the nonce. */
export class AckFrame {
  readonly #template: Buffer;

  constructor(typeUrl: string) {
    const type = Buffer.from(typeUrl);
    if (type.length > 127) throw new Error(`type URL too long: ${typeUrl}`);
    this.#template = Buffer.concat([
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
      Buffer.from([ACK_TYPE_URL, type.length]),
      type,
      Buffer.from([ACK_NONCE, 0]),
    ]);
  }

  /** The nonce is shorter than 128 bytes. */
  of({ bytes, nonceStart: start, nonceEnd: end }: DeltaResponse): Buffer {
    const head = this.#template.length;
    const frame = Buffer.allocUnsafe(head + end - start);
    this.#template.copy(frame);
    frame[head - 1] = end - start;
    bytes.copy(frame, head, start, end);
    frame.writeUIntBE(frame.length - 9, 0, 3);
    frame.writeUInt32BE(frame.length - DATA_HEADER, 10);
    return frame;
  }
}
