import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { XdsEngineOptions } from '../control-plane/xds/engine.ts';
import type { DiscoveryService } from '../control-plane/xds/services.ts';
import { ClusterDiscoveryService } from '../gen/envoy/service/cluster/v3/cds_pb.ts';
import { EndpointDiscoveryService } from '../gen/envoy/service/endpoint/v3/eds_pb.ts';
import { ListenerDiscoveryService } from '../gen/envoy/service/listener/v3/lds_pb.ts';
import { RouteDiscoveryService } from '../gen/envoy/service/route/v3/rds_pb.ts';

export const CLUSTER_TYPE_URL = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
export const ENDPOINT_TYPE_URL = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
export const LISTENER_TYPE_URL = 'type.googleapis.com/envoy.config.listener.v3.Listener';
export const ROUTE_TYPE_URL = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';

/** Envoy's services for one type each. */
export const PER_TYPE: readonly DiscoveryService[] = [
  { service: ClusterDiscoveryService, typeUrl: CLUSTER_TYPE_URL },
  { service: EndpointDiscoveryService, typeUrl: ENDPOINT_TYPE_URL },
  { service: ListenerDiscoveryService, typeUrl: LISTENER_TYPE_URL },
  { service: RouteDiscoveryService, typeUrl: ROUTE_TYPE_URL },
];

/** What the engine has to know of Envoy's kinds. */
export const ENVOY_KINDS = {
  order: [CLUSTER_TYPE_URL, ENDPOINT_TYPE_URL, LISTENER_TYPE_URL, ROUTE_TYPE_URL],
  fullStateTypes: [CLUSTER_TYPE_URL, LISTENER_TYPE_URL],
  // Envoy warms each Cluster that changed, and takes only endpoints that come after it.
  references: [{ from: CLUSTER_TYPE_URL, to: ENDPOINT_TYPE_URL, names: endpointsOf }],
} as const satisfies Partial<XdsEngineOptions>;

/** `Cluster.eds_cluster_config` and `EdsClusterConfig.service_name`. */
const EDS_CLUSTER_CONFIG = 3;
const SERVICE_NAME = 2;

/** The name under which a Cluster asks for its endpoints; none when they do not come by EDS. */
export function endpointsOf(cluster: Uint8Array, clusterName: string): readonly string[] {
  const config = lastField(cluster, EDS_CLUSTER_CONFIG);
  if (config === undefined) return [];
  const serviceName = lastField(config, SERVICE_NAME);
  return [
    serviceName === undefined || serviceName.length === 0 ? clusterName : Buffer.from(serviceName).toString(),
  ];
}

function lastField(message: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new BinaryReader(message);
  let last: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === wanted && wireType === WireType.LengthDelimited) last = reader.bytes();
    else reader.skip(wireType, field);
  }
  return last;
}
