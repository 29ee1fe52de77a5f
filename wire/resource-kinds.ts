import { EndpointsSchema } from '../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { NodeSchema } from '../gen/cortexflow/mesh/v1/node_pb.ts';
import { ServiceSchema } from '../gen/cortexflow/mesh/v1/service_pb.ts';

/** `type.googleapis.com/<message>`: how xDS names a resource type. */
export function typeUrl(message: { readonly typeName: string }): string {
  return `type.googleapis.com/${message.typeName}`;
}

export const NODE_TYPE_URL = typeUrl(NodeSchema);
export const SERVICE_TYPE_URL = typeUrl(ServiceSchema);
export const ENDPOINTS_TYPE_URL = typeUrl(EndpointsSchema);

/**
 * Our resource types in the order in which a change to several of them is told: what is referred to
 * comes before what refers to it, so that no sidecar ever sees a Service replaced by its own absence. Nodes are
 * first: where a sidecar is decides which endpoints it prefers. The name of a Node resource is the node's own.
 */
export const RESOURCE_ORDER: readonly string[] = [NODE_TYPE_URL, SERVICE_TYPE_URL, ENDPOINTS_TYPE_URL];

/** Resource name of a Service: `namespace/name`. */
export function serviceName(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** Resource name of one slice of a Service's endpoints: `namespace/service/slice`. */
export function endpointsName(service: string, slice: string): string {
  return `${service}/${slice}`;
}

/** The collection of all slices of a Service: `namespace/service/*`. */
export function endpointsCollection(service: string): string {
  return `${service}/*`;
}

/** The Service that an Endpoints resource or collection belongs to. */
export function serviceOfEndpoints(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}
