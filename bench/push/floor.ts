import { create, toBinary } from '@bufbuild/protobuf';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import { DeltaDiscoveryResponseSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { grpcMethod, rawCodec } from '../../wire/grpc-service.ts';
import { ENDPOINTS_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import type { MeshContent, OpaqueResource } from './mesh.ts';
import { sliceOfService } from './mesh.ts';
import { measure } from './server-process.ts';

// The least that a grpc-js server can do: it looks at nothing but the first requests, keeps nothing for a
// stream but the stream, and writes the same bytes to all. No control plane in this language is faster.

type Stream = ServerDuplexStream<Buffer, Buffer>;

// What a first request that resumes is told apart by: it carries the versions of the whole mesh.
const RESUMING_REQUEST_BYTES = 512;

let nonce = 0;

measure(async ({ resources }: MeshContent) => {
  const subscribed = new Set<Stream>();
  const services = response(
    SERVICE_TYPE_URL,
    resources.filter(({ typeUrl }) => typeUrl === SERVICE_TYPE_URL),
  );
  let endpoints = response(
    ENDPOINTS_TYPE_URL,
    resources.filter(({ name }) => name === sliceOfService(0)),
  );

  const serve = (stream: Stream) => {
    let servicesAsked = false;
    let endpointsAsked = false;
    let resuming = false;
    stream.on('data', (request: Buffer) => {
      if (servicesAsked && endpointsAsked) return;
      resuming ||= request.length > RESUMING_REQUEST_BYTES;
      if (!servicesAsked && request.includes(SERVICE_TYPE_URL)) {
        servicesAsked = true;
        if (!resuming) stream.write(services);
      } else if (!endpointsAsked && request.includes(ENDPOINTS_TYPE_URL)) {
        endpointsAsked = true;
        subscribed.add(stream);
        if (!resuming) stream.write(endpoints);
      }
    });
    const leave = () => subscribed.delete(stream);
    stream.on('end', () => stream.end());
    stream.on('close', leave);
    stream.on('cancelled', leave);
    stream.on('error', leave);
  };

  const server = new Server();
  const method = AggregatedDiscoveryService.method.deltaAggregatedResources;
  server.addService(
    { deltaAggregatedResources: grpcMethod(method, rawCodec, rawCodec) },
    { deltaAggregatedResources: serve },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    change: ({ resource }) => {
      endpoints = response(ENDPOINTS_TYPE_URL, [resource]);
      for (const stream of subscribed) stream.write(endpoints);
    },
  };
});

function response(typeUrl: string, resources: readonly OpaqueResource[]): Buffer {
  const message = create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce: String((nonce += 1)),
    resources: resources.map(({ name, version, value }) => ({
      name,
      version,
      resource: { typeUrl, value: Buffer.from(value, 'base64') },
    })),
  });
  return Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message));
}
