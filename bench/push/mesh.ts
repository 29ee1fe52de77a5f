import { hash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { EndpointsSchema, Health } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily, Protocol } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import { InternalTrafficPolicy, ServiceSchema, ServiceType } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { ENDPOINTS_TYPE_URL, endpointsName, SERVICE_TYPE_URL, serviceName } from '../../wire/resource-kinds.ts';

/** The mesh that is served: each Service with one EndpointSlice, all slices of the same size. */
export interface MeshSize {
  readonly services: number;
  readonly endpointsPerService: number;
}

/**
 * The same content twice: as the Kubernetes objects that our control plane reads, and as the resources that
 * come of them, for servers that know nothing of Kubernetes.
 */
export interface MeshContent {
  readonly objects: readonly object[];
  readonly resources: readonly OpaqueResource[];
}

/** One EndpointSlice as it is after a change. */
export interface MeshChange {
  readonly object: object;
  readonly resource: OpaqueResource;
}

export interface OpaqueResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  /** The serialised message, in base64. */
  readonly value: string;
}

const NAMESPACE = 'bench';

/** The Service that changes, and its only slice. */
export const CHANGING_SERVICE = serviceName(NAMESPACE, 'service-0');
export const CHANGING_SLICE = endpointsName(CHANGING_SERVICE, 'service-0-slice');

export function meshContent({ services, endpointsPerService }: MeshSize): MeshContent {
  const numbers = Array.from({ length: services }, (_, i) => i);
  const slices = numbers.map((i) => changedSlice(i, endpointsPerService, address(i, 0)));
  return {
    objects: [...numbers.map(serviceObject), ...slices.map(({ object }) => object)],
    resources: [...numbers.map(serviceResource), ...slices.map(({ resource }) => resource)],
  };
}

/** The `n`th change, from 1 on: the first endpoint of the first Service is replaced by one of address `marker(n)`. */
export function meshChange(n: number, { endpointsPerService }: MeshSize): MeshChange {
  return changedSlice(0, endpointsPerService, marker(n));
}

/** Text that a push carries with the `n`th change, and no other push does; n < 15,000. */
export function marker(n: number): string {
  // Octets of three digits: no marker is the beginning of another.
  return `172.16.${100 + Math.floor(n / 100)}.${100 + (n % 100)}`;
}

function serviceObject(i: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: NAMESPACE, name: `service-${i}`, labels: { app: `service-${i}` } },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIp(i),
      clusterIPs: [clusterIp(i)],
      ipFamilies: ['IPv4'],
      selector: { app: `service-${i}` },
      ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
    },
  };
}

function serviceResource(i: number): OpaqueResource {
  const value = create(ServiceSchema, {
    namespace: NAMESPACE,
    name: `service-${i}`,
    type: ServiceType.CLUSTER_IP,
    clusterIps: [clusterIp(i)],
    ipFamilies: [IpFamily.IPV4],
    ports: [{ name: 'http', port: 80, protocol: Protocol.TCP }],
    internalTrafficPolicy: InternalTrafficPolicy.CLUSTER,
  });
  return opaque(SERVICE_TYPE_URL, serviceName(NAMESPACE, `service-${i}`), toBinary(ServiceSchema, value));
}

function changedSlice(i: number, size: number, firstAddress: string): MeshChange {
  const service = `service-${i}`;
  const endpoints = Array.from({ length: size }, (_, j) => ({
    address: j === 0 ? firstAddress : address(i, j),
    node: `node-${(i + j) % 100}`,
    zone: `zone-${'abc'[(i + j) % 3]}`,
    pod: `${service}-7d4b9c6f5d-${String(j).padStart(5, 'x')}`,
  }));
  return { object: sliceObject(service, endpoints), resource: sliceResource(service, endpoints) };
}

interface BenchEndpoint {
  readonly address: string;
  readonly node: string;
  readonly zone: string;
  readonly pod: string;
}

function sliceObject(service: string, endpoints: readonly BenchEndpoint[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: NAMESPACE,
      name: `${service}-slice`,
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(({ address: ip, node, zone, pod }) => ({
      addresses: [ip],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: node,
      zone,
      targetRef: { kind: 'Pod', namespace: NAMESPACE, name: pod },
    })),
  };
}

function sliceResource(service: string, endpoints: readonly BenchEndpoint[]): OpaqueResource {
  const slice = `${service}-slice`;
  const value = create(EndpointsSchema, {
    namespace: NAMESPACE,
    service,
    slice,
    ipFamily: IpFamily.IPV4,
    ports: [{ name: 'http', port: 8080, protocol: Protocol.TCP }],
    endpoints: endpoints.map((endpoint) => ({ ...endpoint, health: Health.READY })),
  });
  const name = endpointsName(serviceName(NAMESPACE, service), slice);
  return opaque(ENDPOINTS_TYPE_URL, name, toBinary(EndpointsSchema, value));
}

function opaque(typeUrl: string, name: string, bytes: Uint8Array): OpaqueResource {
  return {
    typeUrl,
    name,
    version: hash('sha256', bytes, 'hex').slice(0, 16),
    value: Buffer.from(bytes).toString('base64'),
  };
}

function clusterIp(i: number): string {
  return `10.96.${i >> 8}.${i & 0xff}`;
}

function address(service: number, endpoint: number): string {
  const n = service * 64 + endpoint;
  return `10.${(n >> 16) & 0xff}.${(n >> 8) & 0xff}.${n & 0xff}`;
}
