import type { DescService } from '@bufbuild/protobuf';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';

/** A gRPC service whose streams speak xDS, in either protocol, according to the messages of each method. */
export interface DiscoveryService {
  readonly service: DescService;
  /** The one type that its streams carry; undefined: any, named in each request. */
  readonly typeUrl: string | undefined;
}

export const AGGREGATED: DiscoveryService = { service: AggregatedDiscoveryService, typeUrl: undefined };
