import type { ChannelCredentials, ChannelOptions, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { Client, connectivityState, Metadata, status } from '@grpc/grpc-js';
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
  /** The server says that it is sent too much, pings most likely; `onEnd` follows. */
  onTooMuch(): void;
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

function callOn(client: Client): ClientDuplexStream<DeltaDiscoveryRequest, Buffer> {
  const { path, requestSerialize, responseDeserialize } = METHOD;
  return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
}

function channelOptions(keepaliveMs: number): ChannelOptions {
  return { ...CHANNEL_OPTIONS, 'grpc.keepalive_time_ms': keepaliveMs };
}

/** `keepaliveMs`: for so long a connection may be silent before it is pinged. */
export function openStream(
  address: string,
  credentials: ChannelCredentials,
  keepaliveMs: number,
  events: StreamEvents,
): AdsStream {
  const client = new Client(address, credentials, channelOptions(keepaliveMs));
  const call = callOn(client);
  let ended = false;
  const end = (error: string | undefined): void => {
    if (!ended) {
      ended = true;
      clearTimeout(connecting);
      call.cancel();
      client.close();
      events.onEnd(error);
    }
  };
  const connecting = setTimeout(
    end,
    CONNECT_TIMEOUT_MS,
    `no connection within ${CONNECT_TIMEOUT_MS / 1000} s`,
  );
  whenReady(client.getChannel(), () => {
    if (!ended) {
      clearTimeout(connecting);
      events.onConnected();
    }
  });
  call.on('data', (bytes: Buffer) => {
    const response = ended ? undefined : parse(bytes);
    if (typeof response === 'string') {
      end(response);
    } else if (response !== undefined) {
      events.onResponse(response);
    }
  });
  call.on('error', (error: ServiceError) => {
    if (!ended && isTooMuch(error)) events.onTooMuch();
    end(isTooMuch(error) ? TOO_MUCH : `${status[error.code]}: ${error.details}`);
  });
  call.on('end', () => end(undefined));
  return {
    send: (request) => call.write(request),
    close: end,
  };
}

const TOO_MUCH =
  'it is sent too much, by its own account (HTTP/2 ENHANCE_YOUR_CALM, as in a GOAWAY with too_many_pings)';

/**
 * Did the connection or the stream end with ENHANCE_YOUR_CALM? grpc-js keeps the GOAWAY to itself, and says so only by
 * a status of its own making. Servers, too, send this code, with other words.
 */
function isTooMuch({ code, details }: ServiceError): boolean {
  return code === status.RESOURCE_EXHAUSTED && details === 'Bandwidth exhausted or memory limit exceeded';
}

/**
 * Calls back once the channel is connected. `Client.waitForReady` would do so, too, but wakes a channel that was
 * closed meanwhile: it goes on resolving its address for good, and is never freed.
 */
function whenReady(channel: ReturnType<Client['getChannel']>, connected: () => void): void {
  const state = channel.getConnectivityState(false);
  if (state === connectivityState.READY) {
    connected();
  } else if (state !== connectivityState.SHUTDOWN) {
    channel.watchConnectivityState(state, Infinity, () => {
      whenReady(channel, connected);
    });
  }
}

/** Without a nonce to answer, a response that cannot be read at all ends the stream. */
function parse(bytes: Buffer): DeltaDiscoveryResponse | string {
  try {
    return fromBinary(DeltaDiscoveryResponseSchema, bytes);
  } catch (error) {
    return `sent ${bytes.length} bytes that are no DeltaDiscoveryResponse: ${String(error)}`;
  }
}
