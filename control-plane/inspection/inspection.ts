import type { DescFile, DescService } from '@bufbuild/protobuf';
import { Server, type ServerOptions } from '@grpc/grpc-js';
import { file_cortexflow_mesh_v1_endpoints } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { file_cortexflow_mesh_v1_node } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import { file_cortexflow_mesh_v1_service } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import { ClientStatusDiscoveryService } from '../../gen/envoy/service/status/v3/csds_pb.ts';
import { file_google_rpc_error_details } from '../../gen/google/rpc/error_details_pb.ts';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import type { Readiness } from '../../process/readiness.ts';
import { addClientStatus } from '../xds/csds.ts';
import type { XdsEngine } from '../xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../xds/server-options.ts';
import { AGGREGATED } from '../xds/services.ts';
import { addHealth } from './health.ts';
import { addReflection } from './reflection.ts';

const SERVICES: readonly DescService[] = [
  AggregatedDiscoveryService,
  ClientStatusDiscoveryService,
  Health,
  ServerReflection,
];

/** What no service refers to and an Any may hold. */
const INSIDE_ANY: readonly DescFile[] = [
  file_cortexflow_mesh_v1_service,
  file_cortexflow_mesh_v1_endpoints,
  file_cortexflow_mesh_v1_node,
  file_google_rpc_error_details,
];

/**
 * A gRPC server for people and their tools: what is served, who has it, and what they said to it. It asks
 * for no credentials, so it belongs on loopback.
 */
export function createInspectionServer(
  engine: XdsEngine,
  readiness: Readiness,
  options: ServerOptions = XDS_SERVER_OPTIONS,
): Server {
  const server = new Server(options);
  const names = SERVICES.map(({ typeName }) => typeName);
  engine.addTo(server, [AGGREGATED]);
  addClientStatus(server, engine);
  addHealth(server, { services: names, isServing: () => readiness.isReady });
  addReflection(server, names, [...SERVICES.map(({ file }) => file), ...INSIDE_ANY]);
  return server;
}
