import type { Origin } from './change.ts';
import type { Endpoint, EndpointPort, ServiceKey } from './service.ts';
import type { Locality } from './groups.ts';
import type { EndpointsEntry, Table } from './table.ts';

interface Provenance {
  readonly version: string;
  readonly source: Origin['source'];
  /** RFC 3339. */
  readonly since: string;
}

export interface SliceView {
  readonly name: string;
  readonly origin: Provenance;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Pick<Endpoint, 'address' | 'health' | 'zone' | 'serviceAccount' | 'inMesh'>[];
}

export interface LocalityView extends Locality {
  /** Of the zone; none where it was given in the bootstrap, or is not known. */
  readonly origin: Provenance | undefined;
}

export interface ServiceView {
  readonly name: ServiceKey;
  readonly origin: Provenance;
  /** `overdue`: asked for, and not told in time. */
  readonly endpoints: 'not loaded' | 'overdue' | 'none' | 'known';
  readonly slices: readonly SliceView[];
}

/** Where the workload runs, and who said so. */
export function describeLocality({ locality, node }: Table): LocalityView {
  return { ...locality, origin: node === undefined ? undefined : provenance(node.origin) };
}

/** The table for people: what is held, and where each piece came from. Plain values, as for JSON. */
export function describeServices(table: Table): ServiceView[] {
  return [...table.services.values()]
    .map(({ service: { key }, origin }) => ({
      name: key,
      origin: provenance(origin),
      endpoints: endpointsState(table, key),
      slices: slicesOf(table.endpoints.get(key)),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function endpointsState(table: Table, key: ServiceKey): ServiceView['endpoints'] {
  const entry = table.endpoints.get(key);
  if (entry !== undefined) {
    return entry.slices.size === 0 ? 'none' : 'known';
  }
  return table.overdue.has(key) ? 'overdue' : 'not loaded';
}

function slicesOf(entry: EndpointsEntry | undefined): SliceView[] {
  return [...(entry?.slices.values() ?? [])].map(({ slice, origin }) => ({
    name: slice.key,
    origin: provenance(origin),
    ports: slice.ports,
    endpoints: slice.endpoints.map(({ address, health, zone, serviceAccount, inMesh }) => ({
      address,
      health,
      zone,
      serviceAccount,
      inMesh,
    })),
  }));
}

function provenance({ version, source, sinceMs }: Origin): Provenance {
  return { version, source, since: timestamp(sinceMs) };
}

/** RFC 3339 in UTC, as logs have it, for milliseconds since the epoch. */
export function timestamp(ms: number): string;
export function timestamp(ms: number | undefined): string | undefined;
export function timestamp(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
