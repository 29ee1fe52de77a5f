import type { Node } from './node.ts';
import type { EndpointSlice, Service, ServiceKey } from './service.ts';
import type { SyncChange } from './sync.ts';

/** Where a piece of the table came from. */
export interface Origin {
  /** The control plane's word for this state of the resource. */
  readonly version: string;
  readonly source: 'control-plane' | 'disk';
  /** When it came, or was written to disk, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** One step from one table to the next. */
export type Change = NodeChange | ServiceChange | EndpointsChange | SyncChange;

/** Of the node that the workload runs on: where that is decides which endpoints are preferred. */
export type NodeChange =
  | { readonly kind: 'node'; readonly node: Node; readonly origin: Origin }
  /** There is no such node, as far as the control plane knows. */
  | { readonly kind: 'node-unknown' };

export type ServiceChange =
  | { readonly kind: 'service'; readonly service: Service; readonly origin: Origin }
  | { readonly kind: 'service-removed'; readonly service: ServiceKey }
  /** What Services there are has been told; without it a missing Service is only one not heard of yet. */
  | { readonly kind: 'services-known' };

export type EndpointsChange =
  | { readonly kind: 'slice'; readonly slice: EndpointSlice; readonly origin: Origin }
  | { readonly kind: 'slice-removed'; readonly service: ServiceKey; readonly slice: string }
  /** The Service has no slices, or there is no such Service: an answer, too. */
  | { readonly kind: 'endpoints-empty'; readonly service: ServiceKey }
  /** The wait for a first answer is over; connections no longer wait for it. */
  | { readonly kind: 'endpoints-overdue'; readonly service: ServiceKey }
  /** Nobody uses the Service's endpoints any more. */
  | { readonly kind: 'endpoints-forgotten'; readonly service: ServiceKey };
