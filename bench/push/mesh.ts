import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { apply } from '../../control-plane/mesh/apply.ts';
import { compile } from '../../control-plane/mesh/compile.ts';
import { EMPTY_STATE } from '../../control-plane/mesh/state.ts';
import { anyOf } from '../../control-plane/xds/resource.ts';
import { endpointsCollection, endpointsName, serviceName } from '../../wire/resource-kinds.ts';

/** The mesh that is served: each Service with one EndpointSlice, all slices of the same size. */
export interface MeshSize {
  readonly services: number;
  readonly endpointsPerService: number;
}

/**
 * The same content twice: as the Kubernetes objects that our control plane reads, and as the resources that
 * come of them, byte for byte, for servers that know nothing of Kubernetes.
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

/** The collection of the Endpoints of the `n`th Service. The first one, 0, is the one that changes. */
export function collectionOfService(n: number): string {
  return endpointsCollection(serviceName(NAMESPACE, `service-${n}`));
}

/** The only resource in that collection. */
export function sliceOfService(n: number): string {
  return endpointsName(serviceName(NAMESPACE, `service-${n}`), `service-${n}-slice`);
}

export function meshContent({ services, endpointsPerService }: MeshSize): MeshContent {
  const numbers = Array.from({ length: services }, (_, i) => i);
  const slices = numbers.map((i) => sliceObject(i, endpointsPerService, address(i, 0)));
  const objects = [...numbers.map(serviceObject), ...slices];
  return { objects, resources: compiled(objects) };
}

/** The `n`th change, from 1 on: the first endpoint of the first Service moves to the address `marker(n)`. */
export function meshChange(n: number, { endpointsPerService }: MeshSize): MeshChange {
  const object = sliceObject(0, endpointsPerService, marker(n));
  const resource = compiled([serviceObject(0), object]).find(({ name }) => name === sliceOfService(0));
  return { object, resource: resource! };
}

/** Text that a push carries with the `n`th change, and no other push does; n < 15,000. */
export function marker(n: number): string {
  // Octets of three digits: no marker is the beginning of another.
  return `172.16.${100 + Math.floor(n / 100)}.${100 + (n % 100)}`;
}

function compiled(objects: readonly object[]): OpaqueResource[] {
  const { state, dirty, rejections } = apply(
    EMPTY_STATE,
    objects.map((object) => ({ type: 'upsert', object })),
  );
  if (rejections.length > 0)
    throw new Error(`the bench's own mesh is rejected: ${JSON.stringify(rejections[0])}`);
  return compile(state, dirty).upserts.map((resource) => ({
    typeUrl: resource.typeUrl,
    name: resource.name,
    version: resource.version,
    value: Buffer.from(fromBinary(AnySchema, anyOf(resource)).value).toString('base64'),
  }));
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

function sliceObject(i: number, size: number, firstAddress: string): object {
  const service = `service-${i}`;
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
    endpoints: Array.from({ length: size }, (_, j) => ({
      addresses: [j === 0 ? firstAddress : address(i, j)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${(i + j) % 100}`,
      zone: `zone-${(i + j) % 3}`,
      targetRef: { kind: 'Pod', namespace: NAMESPACE, name: `${service}-7d4b9c6f5d-${100 + j}` },
    })),
  };
}

function clusterIp(i: number): string {
  return `10.96.${i >> 8}.${i & 0xff}`;
}

function address(service: number, endpoint: number): string {
  const n = service * 64 + endpoint;
  return `10.${(n >> 16) & 0xff}.${(n >> 8) & 0xff}.${n & 0xff}`;
}
