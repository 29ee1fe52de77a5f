import type { Change, EndpointsChange, Origin } from './change.ts';
import type { GroupMemo, Locality } from './groups.ts';
import type { Node } from './node.ts';
import type { EndpointSlice, Service, ServiceKey } from './service.ts';
import { INITIAL_SYNC, type Sync, syncAfter } from './sync.ts';

export interface ServiceEntry {
  readonly service: Service;
  readonly origin: Origin;
}

export interface NodeEntry {
  readonly node: Node;
  readonly origin: Origin;
}

export interface SliceEntry {
  readonly slice: EndpointSlice;
  readonly origin: Origin;
}

/** The endpoints of one Service. No slices: the Service is known to have none. */
export interface EndpointsEntry {
  /** By slice name as on the wire. */
  readonly slices: ReadonlyMap<string, SliceEntry>;
  /** Groups computed from these slices, on first use. Only groups.ts looks inside. */
  readonly groups: GroupMemo;
}

/**
 * The sidecar's view of the mesh at one moment, seen from one place. Immutable: `withChanges` makes the
 * next one and shares everything that was not touched.
 */
export interface Table {
  /** The same object while it says the same, so that what was computed from it can be kept. */
  readonly locality: Locality;
  /** The node that the zone was learnt from; undefined where the zone was given, or is not known. */
  readonly node: NodeEntry | undefined;
  readonly servicesKnown: boolean;
  readonly services: ReadonlyMap<ServiceKey, ServiceEntry>;
  /** A Service without an entry: its endpoints were not asked for, or not told yet. */
  readonly endpoints: ReadonlyMap<ServiceKey, EndpointsEntry>;
  /** Services that were waited for long enough: what is not told of them by now, nobody waits for. */
  readonly overdue: ReadonlySet<ServiceKey>;
  readonly serviceByClusterIp: ReadonlyMap<string, ServiceKey>;
  readonly sync: Sync;
}

export function emptyTable(locality: Locality): Table {
  return {
    locality,
    node: undefined,
    servicesKnown: false,
    services: new Map(),
    endpoints: new Map(),
    overdue: new Set(),
    serviceByClusterIp: new Map(),
    sync: INITIAL_SYNC,
  };
}

/** The table after these changes, in their order; the same table where they change nothing. */
export function withChanges(table: Table, changes: readonly Change[]): Table {
  const next = new Draft(table);
  for (const change of changes) {
    next.apply(change);
  }
  return next.finish();
}

/** The next table in the making. Each map is copied when first written to. */
class Draft {
  readonly #from: Table;
  #node: NodeEntry | undefined;
  #servicesKnown: boolean;
  #services: Map<ServiceKey, ServiceEntry> | undefined;
  #endpoints: Map<ServiceKey, EndpointsEntry> | undefined;
  #overdue: Set<ServiceKey> | undefined;
  #sync: Sync;
  /** Slice maps that this draft made and may write to. */
  readonly #slices = new Map<ServiceKey, Map<string, SliceEntry>>();
  #clusterIpsMoved = false;

  constructor(from: Table) {
    this.#from = from;
    this.#node = from.node;
    this.#servicesKnown = from.servicesKnown;
    this.#sync = from.sync;
  }

  apply(change: Change): void {
    switch (change.kind) {
      case 'node':
        this.#node = { node: change.node, origin: change.origin };
        return;
      case 'node-unknown':
        this.#node = undefined;
        return;
      case 'service':
        return this.#setService(change.service, change.origin);
      case 'service-removed':
        return this.#removeService(change.service);
      case 'services-known':
        this.#servicesKnown = true;
        return;
      case 'freshness':
      case 'extent':
      case 'misleading':
        this.#sync = syncAfter(this.#sync, change);
        return;
      default:
        return this.#applyToEndpoints(change);
    }
  }

  finish(): Table {
    const from = this.#from;
    const services = this.#services ?? from.services;
    const next: Table = {
      locality: this.#locality(),
      node: this.#node,
      servicesKnown: this.#servicesKnown,
      services,
      endpoints: this.#endpoints ?? from.endpoints,
      overdue: this.#overdue ?? from.overdue,
      serviceByClusterIp: this.#clusterIpsMoved ? clusterIpIndex(services) : from.serviceByClusterIp,
      sync: this.#sync,
    };
    const fields = Object.keys(next) as (keyof Table)[];
    return fields.every((field) => next[field] === from[field]) ? from : next;
  }

  #applyToEndpoints(change: EndpointsChange): void {
    switch (change.kind) {
      case 'slice':
        this.#slicesOf(change.slice.service).set(change.slice.key, {
          slice: change.slice,
          origin: change.origin,
        });
        return;
      case 'slice-removed':
        this.#slicesOf(change.service).delete(change.slice);
        return;
      case 'endpoints-empty':
        this.#slicesOf(change.service).clear();
        return;
      case 'endpoints-overdue':
        return this.#setOverdue(change.service);
      case 'endpoints-forgotten':
        return this.#forgetEndpoints(change.service);
    }
  }

  /** A zone that was given is never taken away: then no node is asked for. */
  #locality(): Locality {
    const { locality, node } = this.#from;
    const zone = this.#node === node ? locality.zone : (this.#node?.node.zone ?? '');
    return zone === locality.zone ? locality : { ...locality, zone };
  }

  #setService(service: Service, origin: Origin): void {
    this.#services ??= new Map(this.#from.services);
    const before = this.#services.get(service.key);
    this.#clusterIpsMoved ||= !sameList(before?.service.clusterIps ?? [], service.clusterIps);
    this.#services.set(service.key, { service, origin });
  }

  #removeService(key: ServiceKey): void {
    const before = (this.#services ?? this.#from.services).get(key);
    if (before === undefined) {
      return;
    }
    this.#services ??= new Map(this.#from.services);
    this.#services.delete(key);
    this.#clusterIpsMoved ||= before.service.clusterIps.length > 0;
  }

  /** The writable slices of a Service. Asking for them makes its endpoints known. */
  #slicesOf(service: ServiceKey): Map<string, SliceEntry> {
    this.#clearOverdue(service);
    const mine = this.#slices.get(service);
    if (mine !== undefined) {
      return mine;
    }
    this.#endpoints ??= new Map(this.#from.endpoints);
    const before = this.#endpoints.get(service);
    const slices = new Map(before?.slices);
    this.#slices.set(service, slices);
    this.#endpoints.set(service, { slices, groups: before?.groups ?? new Map() });
    return slices;
  }

  #forgetEndpoints(service: ServiceKey): void {
    this.#clearOverdue(service);
    this.#slices.delete(service);
    if ((this.#endpoints ?? this.#from.endpoints).has(service)) {
      this.#endpoints ??= new Map(this.#from.endpoints);
      this.#endpoints.delete(service);
    }
  }

  #setOverdue(service: ServiceKey): void {
    if (!(this.#overdue ?? this.#from.overdue).has(service)) {
      this.#overdue ??= new Set(this.#from.overdue);
      this.#overdue.add(service);
    }
  }

  #clearOverdue(service: ServiceKey): void {
    if ((this.#overdue ?? this.#from.overdue).has(service)) {
      this.#overdue ??= new Set(this.#from.overdue);
      this.#overdue.delete(service);
    }
  }
}

/** Built anew as a whole: cluster IPs move rarely, and two Services may claim one for a moment. */
function clusterIpIndex(services: ReadonlyMap<ServiceKey, ServiceEntry>): ReadonlyMap<string, ServiceKey> {
  const index = new Map<string, ServiceKey>();
  for (const { service } of services.values()) {
    for (const address of service.clusterIps) {
      index.set(address, service.key);
    }
  }
  return index;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Whether waiting for word of this Service is over: it came, or was given up. */
export function isTold(table: Table, service: ServiceKey): boolean {
  const serviceTold = table.servicesKnown || table.services.has(service);
  return (serviceTold && table.endpoints.has(service)) || table.overdue.has(service);
}
