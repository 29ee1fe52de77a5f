import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import * as endpointsProto from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily, Protocol } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import { NodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import * as serviceProto from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import {
  ENDPOINTS_TYPE_URL,
  NODE_TYPE_URL,
  SERVICE_TYPE_URL,
  serviceOfEndpoints,
} from '../../wire/resource-kinds.ts';
import type { Changes } from '../xds/snapshot.ts';
import { createResource } from '../xds/snapshot.ts';
import type { Endpoint, EndpointSlice } from './endpoint-slice.ts';
import type { Node } from './node.ts';
import type { Pod } from './pod.ts';
import type { Service } from './service.ts';
import type { Dirty, MeshState } from './state.ts';

/**
 * The resources that the dirty names stand for in this state. The same state gives the same bytes whatever
 * way led to it, so that replicas agree on versions.
 */
export function compile(state: MeshState, dirty: Dirty): Changes {
  const upserts: Changes['upserts'][number][] = [];
  const removals: Changes['removals'][number][] = [];
  const add = (typeUrl: string, name: string, value: Uint8Array | undefined): void => {
    if (value === undefined) removals.push({ typeUrl, name });
    else upserts.push(createResource(typeUrl, name, value));
  };
  for (const name of dirty.nodes) add(NODE_TYPE_URL, name, compileNode(state.nodes.get(name)));
  for (const name of dirty.services) add(SERVICE_TYPE_URL, name, compileService(state.services.get(name)));
  for (const name of dirty.endpoints) add(ENDPOINTS_TYPE_URL, name, compileNamedEndpoints(state, name));
  return { upserts, removals };
}

const SERVICE_TYPE = {
  'cluster-ip': serviceProto.ServiceType.CLUSTER_IP,
  headless: serviceProto.ServiceType.HEADLESS,
  'external-name': serviceProto.ServiceType.EXTERNAL_NAME,
  other: serviceProto.ServiceType.OTHER,
} as const;

const TRAFFIC_DISTRIBUTION = {
  'cluster-wide': serviceProto.TrafficDistribution.UNSPECIFIED,
  'prefer-same-zone': serviceProto.TrafficDistribution.PREFER_SAME_ZONE,
  'prefer-same-node': serviceProto.TrafficDistribution.PREFER_SAME_NODE,
} as const;

const INTERNAL_TRAFFIC_POLICY = {
  cluster: serviceProto.InternalTrafficPolicy.CLUSTER,
  local: serviceProto.InternalTrafficPolicy.LOCAL,
} as const;

const IP_FAMILY = { ipv4: IpFamily.IPV4, ipv6: IpFamily.IPV6 } as const;
const PROTOCOL = { tcp: Protocol.TCP, udp: Protocol.UDP } as const;

const HEALTH = {
  ready: endpointsProto.Health.READY,
  terminating: endpointsProto.Health.TERMINATING,
  'not-ready': endpointsProto.Health.NOT_READY,
} as const;

function compileNode(node: Node | undefined): Uint8Array | undefined {
  return node === undefined ? undefined : toBinary(NodeSchema, create(NodeSchema, { ...node }));
}

function compileService(service: Service | undefined): Uint8Array | undefined {
  if (service === undefined) return undefined;
  const message = create(serviceProto.ServiceSchema, {
    namespace: service.namespace,
    name: service.name,
    type: SERVICE_TYPE[service.type],
    clusterIps: [...service.clusterIps],
    ipFamilies: service.ipFamilies.map((family) => IP_FAMILY[family]),
    externalName: service.externalName,
    ports: service.ports.map((port) => ({ ...port, protocol: PROTOCOL[port.protocol] })),
    trafficDistribution: TRAFFIC_DISTRIBUTION[service.trafficDistribution],
    internalTrafficPolicy: INTERNAL_TRAFFIC_POLICY[service.internalTrafficPolicy],
  });
  if (service.affinityTimeoutSeconds !== undefined) {
    const clientIpTimeout = create(DurationSchema, { seconds: BigInt(service.affinityTimeoutSeconds) });
    message.sessionAffinity = create(serviceProto.SessionAffinitySchema, { clientIpTimeout });
  }
  return toBinary(serviceProto.ServiceSchema, message);
}

/** A slice is a resource while its Service is there and sends traffic to endpoints at all. */
function compileNamedEndpoints(state: MeshState, name: string): Uint8Array | undefined {
  const key = serviceOfEndpoints(name);
  const service = state.services.get(key);
  const slice = state.slices.get(key)?.get(name.slice(key.length + 1));
  if (service === undefined || slice === undefined) return undefined;
  if (service.type === 'external-name' || service.type === 'other') return undefined;
  return compileEndpoints(service, slice, state.pods);
}

function compileEndpoints(service: Service, slice: EndpointSlice, pods: MeshState['pods']): Uint8Array {
  const message = create(endpointsProto.EndpointsSchema, {
    namespace: service.namespace,
    service: service.name,
    slice: slice.name,
    ipFamily: IP_FAMILY[slice.family],
    ports: slice.ports.map((port) => ({ ...port, protocol: PROTOCOL[port.protocol] })),
    endpoints: slice.endpoints.map((endpoint) => compileEndpoint(endpoint, podBehind(slice, endpoint, pods))),
    incomplete: slice.incomplete ?? false,
  });
  return toBinary(endpointsProto.EndpointsSchema, message);
}

function compileEndpoint(endpoint: Endpoint, pod: Pod | undefined): endpointsProto.Endpoint {
  return create(endpointsProto.EndpointSchema, {
    address: endpoint.address,
    health: HEALTH[endpoint.health],
    hostname: endpoint.hostname,
    node: endpoint.node,
    zone: endpoint.zone,
    zoneHints: [...endpoint.zoneHints],
    nodeHints: [...endpoint.nodeHints],
    pod: endpoint.pod,
    serviceAccount: pod?.serviceAccount ?? '',
    inMesh: pod !== undefined,
  });
}

/** Whoever may write a slice may name any pod: it counts only where the endpoint's address is the pod's own. */
function podBehind(slice: EndpointSlice, endpoint: Endpoint, pods: MeshState['pods']): Pod | undefined {
  if (endpoint.pod === '') return undefined;
  const pod = pods.get(`${slice.namespace}/${endpoint.pod}`);
  return pod?.addresses.includes(endpoint.address) ? pod : undefined;
}
