import { once } from 'node:events';
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMethod, MessageInitShape } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import type { ChannelOptions, ClientDuplexStream, StatusObject } from '@grpc/grpc-js';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type {
  DeltaDiscoveryResponse,
  DiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { messageCodec, methodPath, rawCodec } from '../../wire/grpc-service.ts';
import type { Codec } from '../../wire/grpc-service.ts';
import { within } from '../until.ts';

export type DeltaInit = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;
export type SotwInit = MessageInitShape<typeof DiscoveryRequestSchema>;

/** One stream of a plain gRPC client, on a connection of its own, that keeps what it is sent. */
export class TestStream<Init, Response> {
  readonly received: Response[] = [];
  readonly ended: Promise<StatusObject>;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Response>;
  readonly #encode: (init: Init) => Buffer;
  #taken = 0;

  constructor(
    address: string,
    method: {
      readonly path: string;
      readonly encode: (init: Init) => Buffer;
      readonly codec: Codec<Response>;
    },
    options: ChannelOptions = {},
  ) {
    // Without a pool of its own a client shares the connection of all others to the same address.
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
    this.#encode = method.encode;
    this.#call = this.#client.makeBidiStreamRequest(method.path, rawCodec.encode, method.codec.decode);
    this.ended = new Promise((resolve) => this.#call.on('status', resolve));
    this.#call.on('error', () => undefined);
    this.#call.on('data', (response: Response) => this.received.push(response));
  }

  send(init: Init): void {
    this.sendBytes(this.#encode(init));
  }

  sendBytes(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  /** The next response that was not taken yet; rejects when the stream ends before. */
  async next(): Promise<Response> {
    while (this.received.length <= this.#taken) {
      const arrived = once(this.#call, 'data').then(() => undefined);
      const status = await within(
        `response ${this.#taken + 1} of the stream`,
        Promise.race([arrived, this.ended]),
      );
      if (status !== undefined) throw new Error(`the stream ended: ${status.code} ${status.details}`);
    }
    return this.received[this.#taken++] as Response;
  }

  /** The next response that was not taken yet, if it is here. */
  take(): Response | undefined {
    return this.received.length <= this.#taken ? undefined : this.received[this.#taken++];
  }

  /** Stops reading, as a client does that is busy or broken. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  halfClose(): void {
    this.#call.end();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

export type DeltaStream = TestStream<DeltaInit, DeltaDiscoveryResponse>;
export type SotwStream = TestStream<SotwInit, DiscoveryResponse>;

export function encodeDelta(init: DeltaInit): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)));
}

export function encodeSotw(init: SotwInit): Buffer {
  return Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, init)));
}

export function deltaStream(
  address: string,
  options: ChannelOptions = {},
  method: DescMethod = AggregatedDiscoveryService.method.deltaAggregatedResources,
): DeltaStream {
  const codec = messageCodec(DeltaDiscoveryResponseSchema);
  return new TestStream(address, { path: methodPath(method), encode: encodeDelta, codec }, options);
}

export function sotwStream(
  address: string,
  options: ChannelOptions = {},
  method: DescMethod = AggregatedDiscoveryService.method.streamAggregatedResources,
): SotwStream {
  const codec = messageCodec(DiscoveryResponseSchema);
  return new TestStream(address, { path: methodPath(method), encode: encodeSotw, codec }, options);
}
