import { once } from 'node:events';
import { create, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { file_cortexflow_mesh_v1_service } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { file_envoy_service_discovery_v3_ads } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../gen/grpc/health/v1/health_pb.ts';
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { grpcService } from '../../wire/grpc-service.ts';
import { addHealth } from './health.ts';
import { addReflection } from './reflection.ts';

async function serve(t: ExecutionContext, add: (server: Server) => void): Promise<Client> {
  const server = new Server();
  add(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  t.teardown(() => {
    client.close();
    server.forceShutdown();
  });
  return client;
}

const ADS = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
const reflect = (t: ExecutionContext) =>
  serve(t, (server) =>
    addReflection(server, [ADS], [file_envoy_service_discovery_v3_ads, file_cortexflow_mesh_v1_service]),
  );

async function ask(
  client: Client,
  request: ServerReflectionRequest['messageRequest'],
  version = 'v1',
): Promise<ServerReflectionResponse['messageResponse']> {
  const method = grpcService(ServerReflection)['serverReflectionInfo']!;
  const call = client.makeBidiStreamRequest<ServerReflectionRequest, ServerReflectionResponse>(
    method.path.replace('.v1.', `.${version}.`),
    method.requestSerialize,
    method.responseDeserialize as (bytes: Buffer) => ServerReflectionResponse,
  );
  call.write(create(ServerReflectionRequestSchema, { host: 'a', messageRequest: request }));
  const [response] = (await once(call, 'data')) as [ServerReflectionResponse];
  call.end();
  await once(call, 'end');
  return response.messageResponse;
}

function fileNames(response: ServerReflectionResponse['messageResponse']): string[] {
  if (response.case !== 'fileDescriptorResponse') throw new Error(JSON.stringify(response));
  return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

test('reflection lists services, under its own name and the alpha one', async (t) => {
  const client = await reflect(t);
  for (const version of ['v1', 'v1alpha']) {
    const response = await ask(client, { case: 'listServices', value: '' }, version);
    t.is(response.case, 'listServicesResponse');
    if (response.case === 'listServicesResponse')
      t.deepEqual(
        response.value.service.map(({ name }) => name),
        [ADS],
      );
  }
});

test('reflection finds a service, a method, a message that only an Any holds, and a file', async (t) => {
  const client = await reflect(t);
  const ads = 'envoy/service/discovery/v3/ads.proto';
  const symbol = (value: string) => ask(client, { case: 'fileContainingSymbol', value });
  t.is(fileNames(await symbol(ADS))[0], ads);
  t.true(fileNames(await symbol(ADS)).includes('google/protobuf/any.proto'));
  t.is(fileNames(await symbol(`${ADS}.DeltaAggregatedResources`))[0], ads);
  t.is(fileNames(await symbol('cortexflow.mesh.v1.Service'))[0], 'cortexflow/mesh/v1/service.proto');
  t.is(fileNames(await ask(client, { case: 'fileByFilename', value: ads }))[0], ads);
});

test('reflection says NOT_FOUND for what there is not', async (t) => {
  const client = await reflect(t);
  for (const value of ['', 'nothing', 'no.such.Symbol']) {
    const response = await ask(client, { case: 'fileContainingSymbol', value });
    t.is(response.case === 'errorResponse' && response.value.errorCode, status.NOT_FOUND);
  }
});

test('health answers for the server and for each service, and Watch tells of a change', async (t) => {
  let serving = false;
  const client = await serve(t, (server) =>
    addHealth(server, { services: [ADS], isServing: () => serving, watchMs: 5 }),
  );
  const { check, watch } = grpcService(Health);
  const decode = check!.responseDeserialize as (bytes: Buffer) => HealthCheckResponse;
  const askHealth = (service: string) =>
    new Promise<number>((resolve) =>
      client.makeUnaryRequest(
        check!.path,
        check!.requestSerialize,
        decode,
        create(HealthCheckRequestSchema, { service }),
        (error, response) => resolve(error ? -error.code : (response?.status ?? 0)),
      ),
    );
  t.is(await askHealth(''), ServingStatus.NOT_SERVING);
  t.is(await askHealth('no.such.Service'), -status.NOT_FOUND);

  const watching = client.makeServerStreamRequest(
    watch!.path,
    watch!.requestSerialize,
    decode,
    create(HealthCheckRequestSchema, { service: ADS }),
  );
  t.like((await once(watching, 'data'))[0], { status: ServingStatus.NOT_SERVING });
  serving = true;
  t.like((await once(watching, 'data'))[0], { status: ServingStatus.SERVING });
  t.is(await askHealth(ADS), ServingStatus.SERVING);
  watching.on('error', () => {});
  watching.cancel();
});
