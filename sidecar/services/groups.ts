import type { Candidate, EndpointGroup } from './decision.ts';
import type { Endpoint, EndpointSlice, IpFamily, Service, ServicePort } from './service.ts';

/** Where the workload runs; empty where unknown. */
export interface Locality {
  readonly zone: string;
  readonly node: string;
}

type Slices = ReadonlyMap<string, { readonly slice: EndpointSlice }>;

interface Remembered {
  readonly service: Service;
  readonly place: Locality;
  readonly slices: Slices;
  readonly group: EndpointGroup | undefined;
}

/**
 * Groups by port and family, each with the slices and the place that it was computed from: passed on from one
 * version of the slices to the next, so that a group which comes out the same stays the same object.
 */
export type GroupMemo = Map<string, Remembered>;

/** What is asked: one port of one Service in one address family, as seen from one place. */
export interface GroupQuery {
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: IpFamily;
  readonly place: Locality;
}

/** The endpoints that may take a new connection; undefined where there are none. */
export function endpointGroup(
  endpoints: { readonly slices: Slices; readonly groups: GroupMemo },
  query: GroupQuery,
): EndpointGroup | undefined {
  const { slices, groups } = endpoints;
  const { service, port, family, place } = query;
  const key = `${port.port}/${port.protocol}/${family}`;
  forgetOthers(groups, service);
  const known = groups.get(key);
  if (known?.slices === slices && known.place === place) {
    return known.group;
  }
  const candidates = chooseCandidates(joined(slices, port, family), query);
  const group = unchanged(known?.group, candidates) ?? newGroup(service, port, candidates);
  groups.set(key, { service, place, slices, group });
  return group;
}

function newGroup(
  service: Service,
  port: ServicePort,
  candidates: readonly Candidate[],
): EndpointGroup | undefined {
  return candidates.length === 0 ? undefined : { service, port, candidates };
}

/** An endpoint on the port of its slice that a Service's port leads to. */
interface Joined {
  readonly endpoint: Endpoint;
  readonly candidate: Candidate;
}

const PREFERENCE = { ready: 0, terminating: 1, 'not-ready': 2 } as const;

/**
 * Each address and port once, in the order of their ids, so that every sidecar sees them alike. An endpoint
 * that is moving from one slice to another is in both for a moment: its best health counts.
 */
function joined(slices: Slices, port: ServicePort, family: IpFamily): Joined[] {
  const byId = new Map<string, Joined>();
  for (const { slice } of slices.values()) {
    const target = slice.ports.find(({ name, protocol }) => name === port.name && protocol === port.protocol);
    if (slice.family !== family || target === undefined) {
      continue;
    }
    for (const endpoint of slice.endpoints) {
      const id =
        family === 'ipv6' ? `[${endpoint.address}]:${target.port}` : `${endpoint.address}:${target.port}`;
      const other = byId.get(id);
      if (other === undefined || PREFERENCE[endpoint.health] < PREFERENCE[other.endpoint.health]) {
        const { address, zone, node } = endpoint;
        byId.set(id, { endpoint, candidate: { id, address, port: target.port, zone, node } });
      }
    }
  }
  return [...byId.values()].toSorted((a, b) => (a.candidate.id < b.candidate.id ? -1 : 1));
}

/**
 * kube-proxy's choice: ready endpoints, or those that still serve while terminating where none is ready.
 * A local traffic policy keeps to the node and sees no hints.
 */
function chooseCandidates(all: readonly Joined[], { service, place }: GroupQuery): Candidate[] {
  const local = service.internalTrafficPolicy === 'local';
  const reachable = local ? all.filter(({ endpoint }) => isOnNode(endpoint, place)) : all;
  const ready = reachable.filter(({ endpoint }) => endpoint.health === 'ready');
  const chosen =
    ready.length === 0
      ? reachable.filter(({ endpoint }) => endpoint.health === 'terminating')
      : local
        ? ready
        : followHints(ready, place);
  return chosen.map(({ candidate }) => candidate);
}

function isOnNode(endpoint: Endpoint, place: Locality): boolean {
  return place.node !== '' && endpoint.node === place.node;
}

/**
 * Topology is what the hints say (KEP-2433, KEP-3015) and nothing else: a Service's trafficDistribution
 * tells the EndpointSlice controller which hints to write, and kube-proxy does not look at it either.
 * Hints count only where every ready endpoint has some and one is meant for here; else all are used, so
 * that hints which are half written or know nothing of this place take no traffic away.
 */
function followHints(ready: readonly Joined[], place: Locality): readonly Joined[] {
  return (
    hinted(ready, ({ nodeHints }) => nodeHints, place.node) ??
    hinted(ready, ({ zoneHints }) => zoneHints, place.zone) ??
    ready
  );
}

function hinted(
  ready: readonly Joined[],
  hints: (endpoint: Endpoint) => readonly string[],
  here: string,
): readonly Joined[] | undefined {
  const meant = ready.filter(({ endpoint }) => hints(endpoint).includes(here));
  const complete = meant.length > 0 && ready.every(({ endpoint }) => hints(endpoint).length > 0);
  return complete ? meant : undefined;
}

function unchanged(
  before: EndpointGroup | undefined,
  candidates: readonly Candidate[],
): EndpointGroup | undefined {
  const same =
    before?.candidates.length === candidates.length &&
    before.candidates.every((one, index) => {
      const other = candidates[index];
      return one.id === other?.id && one.zone === other.zone && one.node === other.node;
    });
  return same ? before : undefined;
}

/** Groups refer to their Service: once it was edited, or replaced by another of its name, none is of use. */
function forgetOthers(groups: GroupMemo, service: Service): void {
  const [any] = groups.values();
  if (any !== undefined && any.service !== service) {
    groups.clear();
  }
}
