import type { ServiceKey } from './service.ts';
import type { Table } from './table.ts';

/**
 * How much of a subscription the table holds. Only `all` proves that what is missing does not exist; everything from
 * `some` on is good enough to route by.
 *
 * - `nothing`: no answer yet; connections wait for it.
 * - `overdue`: no answer yet, and the wait for it is over.
 * - `some`: what was received so far; the server may send more.
 * - `readable`: all but what the control plane or this sidecar could not read.
 * - `stale`: what a control plane sent that no longer answers.
 */
export type Completeness = 'nothing' | 'overdue' | 'some' | 'readable' | 'stale' | 'all';

/** Of the Services that exist. */
export function completenessOfServices({ servicesKnown, sync }: Table): Completeness {
  if (!servicesKnown) return 'nothing';
  if (sync.freshness !== 'current') return 'stale';
  return sync.extent.services ? 'all' : 'some';
}

/** Of one Service and its endpoints. */
export function completenessOfEndpoints(table: Table, key: ServiceKey): Completeness {
  const { endpoints, overdue, sync } = table;
  if (!endpoints.has(key)) return overdue.has(key) ? 'overdue' : 'nothing';
  if (isPartlyUnreadable(table, key)) return 'readable';
  if (sync.freshness !== 'current') return 'stale';
  return sync.extent.endpoints.has(key) ? 'all' : 'some';
}

/** Whether the table may lack the newest state of a Service, so that no refusal may rest on it. */
export function mayBeOutdated(table: Table, service: ServiceKey): boolean {
  return table.sync.freshness !== 'current' || isPartlyUnreadable(table, service);
}

/** Whether a part of a Service or of its endpoints could not be read, by the control plane or by this sidecar. */
export function isPartlyUnreadable({ endpoints, sync }: Table, service: ServiceKey): boolean {
  if (sync.extent.unreadable.has(service)) return true;
  return (
    endpoints
      .get(service)
      ?.slices.values()
      .some(({ slice }) => slice.incomplete === true) ?? false
  );
}

/** Whether the endpoints in the table are better not used: they led to nothing, or are too old. */
export function isMisleading({ sync }: Table, service: ServiceKey): boolean {
  return sync.freshness === 'expired' || sync.misleading.has(service);
}
