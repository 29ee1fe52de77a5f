import {
  ENDPOINTS_TYPE_URL,
  endpointsCollection,
  NODE_TYPE_URL,
  SERVICE_TYPE_URL,
  serviceOfEndpoints,
} from '../../wire/resource-kinds.ts';
import type { Change, Origin } from '../services/change.ts';
import type { ServiceKey } from '../services/service.ts';
import type { Decoded } from './decode.ts';
import { decodeEndpoints, decodeNode, decodeService } from './decode.ts';

/** What a session needs to know of one resource type. */
export interface ResourceKind {
  readonly typeUrl: string;
  /** What is subscribed to from the start, on every stream. */
  readonly standing: readonly string[];
  /** Whether more is subscribed to as it is needed. */
  readonly onDemand: boolean;
  /** The subscription that brings the resource of this name. */
  readonly subscriptionOf: (name: string) => string;
  /** The Service of which the resource of this name tells, if of any. */
  readonly serviceOf: (name: string) => ServiceKey | undefined;
  readonly put: (name: string, bytes: Uint8Array, origin: Origin) => Decoded<Change>;
  readonly removed: (name: string) => Change;
  /** A subscription is answered, and with nothing so far. */
  readonly answered: (subscription: string) => Change;
}

/** The subscription to all of a type. */
export const WILDCARD = '*';

function nodeKind(name: string): ResourceKind {
  return {
    typeUrl: NODE_TYPE_URL,
    standing: [name],
    onDemand: false,
    subscriptionOf: (node) => node,
    serviceOf: () => undefined,
    put: (key, bytes, origin) => mapped(decodeNode(key, bytes), (node) => ({ kind: 'node', node, origin })),
    removed: () => ({ kind: 'node-unknown' }),
    answered: () => ({ kind: 'node-unknown' }),
  };
}

const serviceKind: ResourceKind = {
  typeUrl: SERVICE_TYPE_URL,
  standing: [WILDCARD],
  onDemand: false,
  subscriptionOf: () => WILDCARD,
  serviceOf: (name) => name,
  put: (name, bytes, origin) =>
    mapped(decodeService(name, bytes), (service) => ({ kind: 'service', service, origin })),
  removed: (name) => ({ kind: 'service-removed', service: name }),
  answered: () => ({ kind: 'services-known' }),
};

const endpointsKind: ResourceKind = {
  typeUrl: ENDPOINTS_TYPE_URL,
  standing: [],
  onDemand: true,
  subscriptionOf: (name) => endpointsCollection(serviceOfEndpoints(name)),
  serviceOf: serviceOfEndpoints,
  put: (name, bytes, origin) =>
    mapped(decodeEndpoints(name, bytes), (slice) => ({ kind: 'slice', slice, origin })),
  removed: (name) => ({ kind: 'slice-removed', service: serviceOfEndpoints(name), slice: name }),
  answered: (collection) => ({ kind: 'endpoints-empty', service: serviceOfEndpoints(collection) }),
};

/** What a sidecar holds, in the order in which it asks for it. `node`: of which node it is to learn the zone, if any. */
export function resourceKinds(node?: string): readonly ResourceKind[] {
  return node === undefined ? [serviceKind, endpointsKind] : [nodeKind(node), serviceKind, endpointsKind];
}

function mapped<T>(decoded: Decoded<T>, change: (value: T) => Change): Decoded<Change> {
  return decoded.ok ? { ok: true, value: change(decoded.value) } : decoded;
}
