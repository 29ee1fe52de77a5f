import { fromBinary } from '@bufbuild/protobuf';
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type * as wire from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { EndpointsSchema, Health } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily as WireFamily, Protocol as WireProtocol } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import type { Node as WireNode } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import { NodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import type { Service as WireService } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import {
  InternalTrafficPolicy,
  ServiceSchema,
  ServiceType,
  TrafficDistribution,
} from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { endpointsName, serviceName } from '../../wire/resource-kinds.ts';
import type { Node } from '../services/node.ts';
import type { Endpoint, EndpointSlice, IpFamily, Protocol, Service } from '../services/service.ts';

/** Thrown inside this room only: a resource says something that no correct sidecar can act on. */
class Invalid extends Error {}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  /** `reason` is a phrase that goes after the resource's name and a colon. */
  | { readonly ok: false; readonly reason: string };

/** etcd's default limit for a request: what is larger was never a Kubernetes object. */
export const MAX_RESOURCE_BYTES = 1.5 * 1024 * 1024;
/** The Kubernetes API takes no EndpointSlice with more. */
const MAX_ENDPOINTS = 1000;
/** Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds. */
const DEFAULT_AFFINITY_MS = 10_800_000;
const NOTHING: readonly never[] = [];

/** A Service resource as the sidecar's own value, or why it cannot be one. */
export function decodeService(name: string, bytes: Uint8Array): Decoded<Service> {
  return decoded(bytes, () => toService(name, fromBinary(ServiceSchema, bytes)));
}

/** An Endpoints resource as the sidecar's own value, or why it cannot be one. */
export function decodeEndpoints(name: string, bytes: Uint8Array): Decoded<EndpointSlice> {
  return decoded(bytes, () => toSlice(name, fromBinary(EndpointsSchema, bytes)));
}

/** A Node resource as the sidecar's own value, or why it cannot be one. */
export function decodeNode(name: string, bytes: Uint8Array): Decoded<Node> {
  return decoded(bytes, () => toNode(name, fromBinary(NodeSchema, bytes)));
}

function decoded<T>(bytes: Uint8Array, convert: () => T): Decoded<T> {
  if (bytes.length > MAX_RESOURCE_BYTES) {
    return { ok: false, reason: `has ${bytes.length} bytes, more than ${MAX_RESOURCE_BYTES}` };
  }
  try {
    return { ok: true, value: convert() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: error instanceof Invalid ? why : `cannot be parsed: ${why}` };
  }
}

function toNode(key: string, { name, zone }: WireNode): Node {
  checkName(key, name);
  return { name, zone };
}

function toService(key: string, message: WireService): Service {
  checkName(key, serviceName(message.namespace, message.name));
  const type = SERVICE_TYPES[message.type];
  check(type !== undefined, `has the type ${message.type}, which this sidecar does not know`);
  return {
    key,
    namespace: message.namespace,
    name: message.name,
    type,
    clusterIps: message.clusterIps.map(canonicalAddress),
    // A family that only a newer sidecar speaks is none for this one.
    ipFamilies: message.ipFamilies.flatMap((family) => IP_FAMILIES[family] ?? NOTHING),
    externalName: externalNameOf(message, type),
    ports: portsOf(message.ports, ({ name, port, appProtocol }, protocol) => ({
      name,
      port,
      protocol,
      appProtocol,
    })),
    affinityTimeoutMs: affinityOf(message),
    trafficDistribution: TRAFFIC_DISTRIBUTIONS[message.trafficDistribution] ?? 'cluster-wide',
    internalTrafficPolicy:
      message.internalTrafficPolicy === InternalTrafficPolicy.LOCAL ? 'local' : 'cluster',
  };
}

function externalNameOf(message: WireService, type: Service['type']): string | undefined {
  if (type !== 'external-name') {
    return undefined;
  }
  check(message.externalName !== '', 'is an ExternalName without a name');
  return message.externalName;
}

function affinityOf({ sessionAffinity }: WireService): number | undefined {
  if (sessionAffinity === undefined) {
    return undefined;
  }
  const timeout = sessionAffinity.clientIpTimeout;
  if (timeout === undefined) {
    return DEFAULT_AFFINITY_MS;
  }
  const ms = Number(timeout.seconds) * 1000 + timeout.nanos / 1e6;
  check(ms > 0, `has a session affinity timeout of ${ms} ms, which must be above 0`);
  return ms;
}

function toSlice(key: string, message: wire.Endpoints): EndpointSlice {
  const service = serviceName(message.namespace, message.service);
  checkName(key, endpointsName(service, message.slice));
  const family = IP_FAMILIES[message.ipFamily];
  check(family !== undefined, `has the address family ${message.ipFamily}, which this sidecar does not know`);
  const count = message.endpoints.length;
  check(count <= MAX_ENDPOINTS, `has ${count} endpoints, more than ${MAX_ENDPOINTS}`);
  const share = sharedStrings();
  return {
    key,
    service,
    family,
    ports: portsOf(message.ports, ({ name, port }, protocol) => ({ name, port, protocol })),
    endpoints: message.endpoints.map((endpoint) => toEndpoint(endpoint, family, share)),
    ...(message.incomplete ? { incomplete: true } : {}),
  };
}

function toEndpoint(endpoint: wire.Endpoint, family: IpFamily, share: (text: string) => string): Endpoint {
  const address = canonicalAddress(endpoint.address);
  check(isIPv6(address) === (family === 'ipv6'), `has the address ${address} in a slice of ${family}`);
  return {
    address,
    // A state that only a newer sidecar knows is surely not plain readiness.
    health: HEALTH[endpoint.health] ?? 'not-ready',
    hostname: endpoint.hostname,
    node: share(endpoint.node),
    zone: share(endpoint.zone),
    zoneHints: endpoint.zoneHints.length === 0 ? NOTHING : endpoint.zoneHints.map(share),
    nodeHints: endpoint.nodeHints.length === 0 ? NOTHING : endpoint.nodeHints.map(share),
    pod: endpoint.pod,
    serviceAccount: share(endpoint.serviceAccount),
    inMesh: endpoint.inMesh,
  };
}

/** Ports of a protocol that this sidecar does not speak are left out: the others work all the same. */
function portsOf<Port extends { readonly port: number; readonly protocol: WireProtocol }, T>(
  ports: readonly Port[],
  convert: (port: Port, protocol: Protocol) => T,
): T[] {
  return ports.flatMap((port) => {
    check(port.port >= 1 && port.port <= 65_535, `has the port ${port.port}, outside 1 to 65535`);
    const protocol = PROTOCOLS[port.protocol];
    return protocol === undefined ? NOTHING : convert(port, protocol);
  });
}

function checkName(name: string, content: string): void {
  check(name === content, `has the content of ${content === '' ? 'an unnamed resource' : content}`);
  const parts = name.split('/');
  check(
    parts.every((part) => part !== '' && part !== '*' && part.length <= 253),
    'has a name that Kubernetes would not allow',
  );
}

/** Text in the form in which the kernel and the C library write the same address. */
function canonicalAddress(text: string): string {
  if (isIPv4(text)) {
    return text;
  }
  // A zone (fe80::1%eth0) means something on one machine only.
  check(
    isIPv6(text) && !text.includes('%'),
    `has the address ${JSON.stringify(text)}, which is no IP address`,
  );
  return new SocketAddress({ address: text, family: 'ipv6' }).address;
}

/** Zones, nodes and service accounts repeat from endpoint to endpoint; one copy of each is enough. */
function sharedStrings(): (text: string) => string {
  const seen = new Map<string, string>();
  return (text) => {
    const known = seen.get(text);
    if (known === undefined) {
      seen.set(text, text);
    }
    return known ?? text;
  };
}

function check(condition: boolean, reason: string): asserts condition {
  if (!condition) {
    throw new Invalid(reason);
  }
}

const SERVICE_TYPES: Readonly<Record<number, Service['type']>> = {
  [ServiceType.CLUSTER_IP]: 'cluster-ip',
  [ServiceType.HEADLESS]: 'headless',
  [ServiceType.EXTERNAL_NAME]: 'external-name',
  [ServiceType.OTHER]: 'other',
};

const IP_FAMILIES: Readonly<Record<number, IpFamily>> = {
  [WireFamily.IPV4]: 'ipv4',
  [WireFamily.IPV6]: 'ipv6',
};

const PROTOCOLS: Readonly<Record<number, Protocol>> = {
  [WireProtocol.TCP]: 'tcp',
  [WireProtocol.UDP]: 'udp',
};

const TRAFFIC_DISTRIBUTIONS: Readonly<Record<number, Service['trafficDistribution']>> = {
  [TrafficDistribution.PREFER_SAME_ZONE]: 'prefer-same-zone',
  [TrafficDistribution.PREFER_SAME_NODE]: 'prefer-same-node',
};

const HEALTH: Readonly<Record<number, Endpoint['health']>> = {
  [Health.READY]: 'ready',
  [Health.TERMINATING]: 'terminating',
  [Health.NOT_READY]: 'not-ready',
};
