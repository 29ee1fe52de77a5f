import type { ChannelCredentials, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { Client, Metadata, status } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { grpcMethod, messageCodec, rawCodec } from '../../wire/grpc-service.ts';

export interface StreamEvents {
  /** The transport is up. */
  onConnected(): void;
  onResponse(response: DeltaDiscoveryResponse): void;
  /** Once, and nothing after it. `error` is a sentence; undefined: the server ended the stream in order. */
  onEnd(error: string | undefined): void;
}

/** One delta ADS stream, with a connection of its own. */
export interface AdsStream {
  send(request: DeltaDiscoveryRequest): void;
  /** Ends it with this error; no more events than `onEnd`. */
  close(error?: string): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** A server that knows what was asked for splits its answers far below this. */
const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MAX_RESPONSE_BYTES,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // Reconnecting is the client's matter: no state of an earlier attempt may delay a new one.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // A proxy for the workload's own traffic is not the way to the control plane.
  'grpc.enable_http_proxy': 0,
} as const;

const METHOD = grpcMethod(
  AggregatedDiscoveryService.method.deltaAggregatedResources,
  messageCodec(DeltaDiscoveryRequestSchema),
  // Parsed here and not by grpc-js, so that a malformed response ends in a clear sentence.
  rawCodec,
);

export function openStream(
  address: string,
  credentials: ChannelCredentials,
  events: StreamEvents,
): AdsStream {
  const client = new Client(address, credentials, CHANNEL_OPTIONS);
  const call: ClientDuplexStream<DeltaDiscoveryRequest, Buffer> = client.makeBidiStreamRequest(
    METHOD.path,
    METHOD.requestSerialize,
    METHOD.responseDeserialize,
    new Metadata(),
  );
  let ended = false;
  const end = (error: string | undefined): void => {
    if (!ended) {
      ended = true;
      call.cancel();
      client.close();
      events.onEnd(error);
    }
  };
  client.waitForReady(new Date(Date.now() + CONNECT_TIMEOUT_MS), (error) => {
    if (error !== undefined) {
      end(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`);
    } else if (!ended) {
      events.onConnected();
    }
  });
  call.on('data', (bytes: Buffer) => {
    if (!ended) {
      const response = parse(bytes);
      if (typeof response === 'string') {
        end(response);
      } else {
        events.onResponse(response);
      }
    }
  });
  call.on('error', (error: ServiceError) => {
    end(`${status[error.code]}: ${error.details}`);
  });
  call.on('end', () => {
    end(undefined);
  });
  return {
    send: (request) => call.write(request),
    close: end,
  };
}

/** Without a nonce to answer, a response that cannot be read at all ends the stream. */
function parse(bytes: Buffer): DeltaDiscoveryResponse | string {
  try {
    return fromBinary(DeltaDiscoveryResponseSchema, bytes);
  } catch (error) {
    return `sent ${bytes.length} bytes that are no DeltaDiscoveryResponse: ${String(error)}`;
  }
}
