import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from '../process/metrics.ts';
import type { Discovery } from './xds/discovery.ts';

/** Shows whether the workload goes without the mesh, because no control plane has told of it. */
export function exposeReadiness(registry: Registry, readiness: { readonly isWithoutTable: boolean }): void {
  exposeGauge(registry, {
    name: 'cortexflow_ready_without_control_plane',
    help: '1 while it is ready although no control plane has answered yet, and all connections pass through; else 0.',
    collect: (add) => add(readiness.isWithoutTable ? 1 : 0),
  });
}

/** Shows what the sidecar knows of the mesh, and from whom, to Prometheus. */
export function exposeDiscovery(registry: Registry, discovery: Discovery): void {
  exposeGauge(registry, {
    name: 'cortexflow_control_plane_connected',
    help: '1 while a control plane is connected, else 0.',
    collect: (add) => add(discovery.status.connection.state === 'connected' ? 1 : 0),
  });
  exposeGauge(registry, {
    name: 'cortexflow_control_plane_last_response_timestamp_seconds',
    help: 'When the last response came, in seconds since the epoch; 0 before the first.',
    collect: (add) => add((discovery.status.lastResponseMs ?? 0) / 1_000),
  });
  exposeGauge(registry, {
    name: 'cortexflow_services',
    help: 'Services in the table.',
    collect: (add) => add(discovery.directory.table.services.size),
  });
  exposeGauge(registry, {
    name: 'cortexflow_services_with_endpoints',
    help: 'Services whose endpoints are held because something uses them.',
    collect: (add) => add(discovery.directory.table.endpoints.size),
  });
  exposeCounter(registry, {
    name: 'cortexflow_discovery_responses_total',
    help: 'Responses received from control planes.',
    collect: (add) => add(discovery.counters.responses),
  });
  exposeCounter(registry, {
    name: 'cortexflow_discovery_rejected_resources_total',
    help: 'Resources that were rejected; what was known before stays in use.',
    collect: (add) => add(discovery.counters.rejectedResources),
  });
  exposeCounter(registry, {
    name: 'cortexflow_last_good_write_failures_total',
    help: 'Times the last good table could not be written to disk.',
    collect: (add) => add(discovery.counters.lastGoodFailures),
  });
}
