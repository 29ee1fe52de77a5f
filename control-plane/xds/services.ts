import type { DescService } from '@bufbuild/protobuf';
import { ClusterDiscoveryService } from '../../gen/envoy/service/cluster/v3/cds_pb.ts';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import { EndpointDiscoveryService } from '../../gen/envoy/service/endpoint/v3/eds_pb.ts';
import { ListenerDiscoveryService } from '../../gen/envoy/service/listener/v3/lds_pb.ts';
import { RouteDiscoveryService } from '../../gen/envoy/service/route/v3/rds_pb.ts';

export const CLUSTER_TYPE_URL = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
export const ENDPOINT_TYPE_URL = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
export const LISTENER_TYPE_URL = 'type.googleapis.com/envoy.config.listener.v3.Listener';
export const ROUTE_TYPE_URL = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';

/** A gRPC service whose streams speak xDS, in either protocol, according to the messages of each method. */
export interface DiscoveryService {
  readonly service: DescService;
  /** The one type that its streams carry; undefined: any, named in each request. */
  readonly typeUrl: string | undefined;
}

export const AGGREGATED: DiscoveryService = { service: AggregatedDiscoveryService, typeUrl: undefined };

/** Envoy's services for one type each. */
export const PER_TYPE: readonly DiscoveryService[] = [
  { service: ClusterDiscoveryService, typeUrl: CLUSTER_TYPE_URL },
  { service: EndpointDiscoveryService, typeUrl: ENDPOINT_TYPE_URL },
  { service: ListenerDiscoveryService, typeUrl: LISTENER_TYPE_URL },
  { service: RouteDiscoveryService, typeUrl: ROUTE_TYPE_URL },
];
