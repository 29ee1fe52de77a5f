import type { Protocol, Service, ServiceKey, ServicePort } from './service.ts';

/** Where a connection wants to go, as the listener that took it knows. */
export type Destination =
  /** An upstream. */
  | {
      readonly kind: 'service';
      readonly service: ServiceKey;
      readonly port: number;
      readonly protocol: Protocol;
    }
  /** An intercepted connection of the workload's. */
  | {
      readonly kind: 'address';
      /** As the C library writes it, so that one address has one text. */
      readonly address: string;
      readonly port: number;
      readonly protocol: Protocol;
    }
  /** An intercepted connection to the workload: an address of its own. */
  | { readonly kind: 'workload'; readonly address: string; readonly port: number }
  /** Nobody redirected it: it was made to the listener itself. */
  | { readonly kind: 'listener'; readonly address: string; readonly port: number };

/** One endpoint on the port that a connection would use. */
export interface Candidate {
  /** `address:port`, IPv6 in brackets: what load counters are kept under. */
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly zone: string;
  readonly node: string;
}

/**
 * The endpoints that may take a new connection for one port of one Service, after health, address family,
 * topology and duplicates have been seen to. The same object stays while nothing about it changes, so that
 * what is built from it (a picker) can be kept by identity.
 */
export interface EndpointGroup {
  readonly service: Service;
  readonly port: ServicePort;
  /** Never empty. */
  readonly candidates: readonly Candidate[];
}

/**
 * `not-ready`: no control plane has told this sidecar yet, and the wait for it is over. `not-redirected`: it was
 * made to a listener that only takes what the kernel redirects to it.
 */
export type RefusalReason =
  'unknown-service' | 'unknown-port' | 'no-endpoints' | 'external-name' | 'not-ready' | 'not-redirected';

/**
 * Whether kube-proxy may carry a connection that would be refused for this reason, while the table may be out of date.
 * A reason that protects a workload is `forbidden`: it fails closed.
 */
export const FALLBACK = {
  'unknown-service': 'allowed',
  'unknown-port': 'allowed',
  'no-endpoints': 'allowed',
  'external-name': 'allowed',
  'not-ready': 'allowed',
  'not-redirected': 'forbidden',
} as const satisfies Readonly<Record<RefusalReason, 'allowed' | 'forbidden'>>;

/** What to do with one connection. */
export type Decision =
  | { readonly action: 'balance'; readonly group: EndpointGroup }
  /** Not told yet: use the Service until it is `known` and decide again; after that wait it is not `load`. */
  | { readonly action: 'load'; readonly service: ServiceKey }
  | {
      readonly action: 'pass-through';
      readonly address: string;
      readonly port: number;
      /** The Service whose address this is, where it is only passed through because nobody tells its endpoints. */
      readonly service?: ServiceKey;
    }
  | {
      readonly action: 'refuse';
      readonly reason: RefusalReason;
      /** A sentence that names the Service and what is wrong with it. */
      readonly detail: string;
      /** The Service whose address was asked for. */
      readonly service?: ServiceKey;
    };

/** What the forwarder asks of the room that knows the Services. */
export interface Routes {
  /** Never waits and never throws. */
  decide(destination: Destination): Decision;
  /**
   * Tells that what was decided led to nobody. True: the table may be out of date, and what is decided from now
   * on goes another way.
   */
  doubt(destination: Destination): boolean;
  /** Keeps the endpoints of a Service subscribed until released. */
  use(service: ServiceKey): Lease;
}

export interface Lease {
  /**
   * Resolves, never rejects, once the endpoints are known or waiting for them is over. To be read at each use: a
   * Service may have to be waited for again.
   */
  readonly known: Promise<void>;
  release(): void;
}
