import { setImmediate as turn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { sendUnaryData, Server, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import {
  ClientConfigSchema,
  ClientStatusDiscoveryService,
  ClientStatusResponseSchema,
} from '../../gen/envoy/service/status/v3/csds_pb.ts';
import type {
  ClientConfig,
  ClientConfig_GenericXdsConfig,
  ClientStatusRequest,
  ClientStatusResponse,
} from '../../gen/envoy/service/status/v3/csds_pb.ts';
import { grpcService } from '../../wire/grpc-service.ts';
import { resourceStatuses } from './client-status.ts';
import type { XdsEngine } from './engine.ts';
import { matchesNode } from './node-matcher.ts';
import type { XdsStream } from './stream.ts';

/** Well below the 4 MiB that a client receives by default, so that an estimate will do. */
const RESPONSE_BYTES = 1 << 20;
const UNARY_BYTES = 4 << 20;

/**
 * Serves the Client Status Discovery Service: what each connected client was sent, and what it made of it. The
 * streaming method answers each request with as many responses as it takes; a client with much to tell comes
 * in several pieces, each with its node.
 */
export function addClientStatus(server: Server, engine: XdsEngine): void {
  server.addService(grpcService(ClientStatusDiscoveryService), {
    fetchClientStatus: (
      call: ServerUnaryCall<ClientStatusRequest, ClientStatusResponse>,
      reply: sendUnaryData<ClientStatusResponse>,
    ) => void fetch(engine, call.request, reply),
    streamClientStatus: (call: ServerDuplexStream<ClientStatusRequest, ClientStatusResponse>) =>
      void stream(engine, call),
  });
}

async function fetch(
  engine: XdsEngine,
  request: ClientStatusRequest,
  reply: sendUnaryData<ClientStatusResponse>,
): Promise<void> {
  const config: ClientConfig[] = [];
  let bytes = 0;
  for await (const piece of pieces(engine, request)) {
    config.push(piece.config);
    bytes += piece.bytes;
    if (bytes > UNARY_BYTES) {
      reply({ code: status.RESOURCE_EXHAUSTED, details: TOO_LARGE });
      return;
    }
  }
  reply(null, create(ClientStatusResponseSchema, { config }));
}

const TOO_LARGE =
  'The answer is larger than a client receives: narrow it with node_matchers, set exclude_resource_contents, or use StreamClientStatus.';

async function stream(
  engine: XdsEngine,
  call: ServerDuplexStream<ClientStatusRequest, ClientStatusResponse>,
): Promise<void> {
  try {
    for await (const request of call) await answer(engine, call, request as ClientStatusRequest);
    call.end();
  } catch {
    // The caller went away: there is nobody left to tell.
  }
}

async function answer(
  engine: XdsEngine,
  call: ServerDuplexStream<ClientStatusRequest, ClientStatusResponse>,
  request: ClientStatusRequest,
): Promise<void> {
  let config: ClientConfig[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const response = create(ClientStatusResponseSchema, { config });
    config = [];
    bytes = 0;
    await new Promise<void>((resolve) => call.write(response, () => resolve()));
  };
  for await (const piece of pieces(engine, request)) {
    if (config.length > 0 && bytes + piece.bytes > RESPONSE_BYTES) await flush();
    if (call.cancelled) return;
    config.push(piece.config);
    bytes += piece.bytes;
  }
  await flush();
}

interface Piece {
  readonly config: ClientConfig;
  /** Roughly. */
  readonly bytes: number;
}

/** Lets others have their turn between two clients: there may be thousands, and pushes must not wait. */
async function* pieces(engine: XdsEngine, request: ClientStatusRequest): AsyncGenerator<Piece> {
  for (const client of engine.streams()) {
    if (!matchesNode(request.nodeMatchers, client.node?.id ?? '')) continue;
    yield* piecesOf(client, !request.excludeResourceContents);
    await turn();
  }
}

function* piecesOf(client: XdsStream, withContents: boolean): Generator<Piece> {
  let resources: ClientConfig_GenericXdsConfig[] = [];
  const fixed = FIXED_FIELDS + client.nodeBytes + client.caller.name.length;
  let bytes = fixed;
  const piece = (): Piece => ({
    config: create(ClientConfigSchema, {
      ...(client.node === undefined ? {} : { node: client.node }),
      genericXdsConfigs: resources,
      clientScope: client.caller.name,
    }),
    bytes,
  });
  for (const session of client.sessions) {
    for (const resource of resourceStatuses(session, withContents)) {
      const size = sizeOf(resource);
      if (resources.length > 0 && bytes + size > RESPONSE_BYTES) {
        yield piece();
        resources = [];
        bytes = fixed;
      }
      resources.push(resource);
      bytes += size;
    }
  }
  yield piece();
}

const FIXED_FIELDS = 64;

function sizeOf({ typeUrl, name, xdsConfig, errorState }: ClientConfig_GenericXdsConfig): number {
  const content = xdsConfig?.value.length ?? errorState?.failedConfiguration?.value.length ?? 0;
  return FIXED_FIELDS + 2 * typeUrl.length + name.length + content + (errorState?.details.length ?? 0);
}
