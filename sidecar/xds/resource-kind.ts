import {
  ENDPOINTS_TYPE_URL,
  endpointsCollection,
  SERVICE_TYPE_URL,
  serviceOfEndpoints,
} from '../../wire/resource-kinds.ts';
import type { Change, Origin } from '../services/change.ts';
import type { Decoded } from './decode.ts';
import { decodeEndpoints, decodeService } from './decode.ts';

/** What a session needs to know of one resource type. */
export interface ResourceKind {
  readonly typeUrl: string;
  /** Subscribed to from the start, on every stream. */
  readonly wildcard: boolean;
  /** The subscription that brings the resource of this name. */
  readonly subscriptionOf: (name: string) => string;
  readonly put: (name: string, bytes: Uint8Array, origin: Origin) => Decoded<Change>;
  readonly removed: (name: string) => Change;
  /** A subscription is answered, and with nothing so far. */
  readonly answered: (subscription: string) => Change;
  /** A subscription was given up, and all that came under it. */
  readonly forgotten: (subscription: string) => Change | undefined;
}

const WILDCARD = '*';

const serviceKind: ResourceKind = {
  typeUrl: SERVICE_TYPE_URL,
  wildcard: true,
  subscriptionOf: () => WILDCARD,
  put: (name, bytes, origin) =>
    mapped(decodeService(name, bytes), (service) => ({ kind: 'service', service, origin })),
  removed: (name) => ({ kind: 'service-removed', service: name }),
  answered: () => ({ kind: 'services-known' }),
  forgotten: () => undefined,
};

const endpointsKind: ResourceKind = {
  typeUrl: ENDPOINTS_TYPE_URL,
  wildcard: false,
  subscriptionOf: (name) => endpointsCollection(serviceOfEndpoints(name)),
  put: (name, bytes, origin) =>
    mapped(decodeEndpoints(name, bytes), (slice) => ({ kind: 'slice', slice, origin })),
  removed: (name) => ({ kind: 'slice-removed', service: serviceOfEndpoints(name), slice: name }),
  answered: (collection) => ({ kind: 'endpoints-empty', service: serviceOfEndpoints(collection) }),
  forgotten: (collection) => ({ kind: 'endpoints-forgotten', service: serviceOfEndpoints(collection) }),
};

/** What a sidecar holds, in the order in which it asks for it. */
export const RESOURCE_KINDS: readonly ResourceKind[] = [serviceKind, endpointsKind];

function mapped<T>(decoded: Decoded<T>, change: (value: T) => Change): Decoded<Change> {
  return decoded.ok ? { ok: true, value: change(decoded.value) } : decoded;
}
