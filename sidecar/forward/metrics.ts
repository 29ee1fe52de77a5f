import type { Histogram, Registry, RegistryContentType } from 'prom-client';
import { exposeCounter, exposeGauge, type Metric } from '../../process/metrics.ts';
import type { ConnectTimes } from './counters.ts';
import { ENDPOINTS_SHOWN, type EndpointSample, EndpointSeries } from './endpoint-series.ts';
import type { Forwarder } from './forwarder.ts';
import { TRAFFIC_DIRECTIONS, type TrafficDirection } from './origin.ts';
import type { ServiceUse } from './service-use.ts';

type AnyRegistry = Registry<RegistryContentType>;
/** `service` is `namespace/name`, one word where there is none; inbound it is the workload's port. */
const SERVICE_LABELS = ['direction', 'service'];

type Add = Parameters<Metric['collect']>[0];

/** Shows the forwarder's plain numbers to Prometheus. They are only gathered when somebody scrapes. */
export function exposeForwarding(registry: AnyRegistry, forwarder: Forwarder): void {
  exposeConnections(registry, forwarder);
  exposeBytes(registry, forwarder);
  exposeConnects(registry, forwarder);
  exposeEndpoints(registry, forwarder);
}

function labelsOf({ direction, name }: ServiceUse): { direction: TrafficDirection; service: string } {
  return { direction, service: name };
}

function exposeConnections(registry: AnyRegistry, forwarder: Forwarder): void {
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connections_opened_total',
    help: 'Connections accepted from clients, also those refused afterwards.',
    labelNames: SERVICE_LABELS,
    collect(add) {
      for (const use of forwarder.services) add(use.counters.opened, labelsOf(use));
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connections_closed_total',
    help: 'Connections that have ended, by how: complete, reset by a side, timed out, or why they were refused.',
    labelNames: [...SERVICE_LABELS, 'outcome'],
    collect(add) {
      for (const use of forwarder.services) {
        for (const [outcome, count] of Object.entries(use.counters.closed)) {
          if (count > 0) add(count, { ...labelsOf(use), outcome });
        }
      }
    },
  });
  exposeGauge(registry, {
    name: 'cortexflow_tcp_open_connections',
    help: 'Connections accepted from clients and not ended.',
    labelNames: ['direction'],
    collect(add) {
      for (const direction of TRAFFIC_DIRECTIONS) add(0, { direction });
      for (const { direction } of forwarder.connections) add(1, { direction });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connections_passed_through_total',
    help: 'Connections that went to the address of their Service, unbalanced: no control plane told its endpoints.',
    labelNames: SERVICE_LABELS,
    collect(add) {
      for (const use of forwarder.services) {
        if (use.counters.passedThrough > 0) add(use.counters.passedThrough, labelsOf(use));
      }
    },
  });
}

function exposeBytes(registry: AnyRegistry, forwarder: Forwarder): void {
  const count = (add: Add, field: 'sentBytes' | 'receivedBytes'): void => {
    for (const use of forwarder.services) add(use.counters[field], labelsOf(use));
    for (const connection of forwarder.connections) {
      const { service, direction } = connection;
      if (service !== '') add(connection[field], { direction, service });
    }
  };
  exposeCounter(registry, {
    name: 'cortexflow_tcp_sent_bytes_total',
    help: 'Bytes that clients of this sidecar sent to the service.',
    labelNames: SERVICE_LABELS,
    collect: (add) => count(add, 'sentBytes'),
  });
  exposeCounter(registry, {
    name: 'cortexflow_tcp_received_bytes_total',
    help: 'Bytes that clients of this sidecar received from the service.',
    labelNames: SERVICE_LABELS,
    collect: (add) => count(add, 'receivedBytes'),
  });
}

function exposeConnects(registry: AnyRegistry, forwarder: Forwarder): void {
  registry.registerMetric(connectHistogram(forwarder.connectTimes));
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connect_failures_total',
    help: 'Attempts to connect to an endpoint that failed; most are followed by an attempt at another one.',
    labelNames: [...SERVICE_LABELS, 'reason'],
    collect(add) {
      for (const use of forwarder.services) {
        for (const [reason, count] of Object.entries(use.counters.connectFailures)) {
          if (count > 0) add(count, { ...labelsOf(use), reason });
        }
      }
    },
  });
}

function exposeEndpoints(registry: AnyRegistry, forwarder: Forwarder): void {
  const labelNames = [...SERVICE_LABELS, 'endpoint'];
  const allSeries = new WeakMap<ServiceUse, EndpointSeries>();
  const forEach = (show: (sample: EndpointSample, labels: Record<string, string>) => void): void => {
    for (const use of forwarder.services) {
      // What comes in is not balanced.
      if (use.direction === 'inbound') continue;
      const series = allSeries.get(use) ?? new EndpointSeries();
      allSeries.set(use, series);
      for (const sample of series.read(forwarder.balancer.loads(use.name))) {
        show(sample, { ...labelsOf(use), endpoint: sample.endpoint });
      }
    }
  };
  exposeCounter(registry, {
    name: 'cortexflow_tcp_endpoint_connections_opened_total',
    help: `Connections opened to each endpoint; past ${ENDPOINTS_SHOWN} endpoints of a service, to all others.`,
    labelNames,
    collect: (add) => forEach(({ opened }, labels) => add(opened, labels)),
  });
  exposeGauge(registry, {
    name: 'cortexflow_tcp_endpoint_open_connections',
    help: `Connections open or being opened to each endpoint; past ${ENDPOINTS_SHOWN} of a service, to all others.`,
    labelNames,
    collect: (add) => forEach(({ active }, labels) => add(active, labels)),
  });
}

/** prom-client's histogram takes one observation at a time; this one is read out of numbers already counted. */
function connectHistogram(times: Forwarder['connectTimes']): Histogram {
  const name = 'cortexflow_tcp_connect_seconds';
  const help = 'Time until an endpoint accepted a connection, of attempts that succeeded.';
  const get = () =>
    Promise.resolve({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: TRAFFIC_DIRECTIONS.flatMap((direction) => valuesOf(name, direction, times[direction])),
    });
  return { name, help, get, reset: () => {} } as unknown as Histogram;
}

function valuesOf(name: string, direction: TrafficDirection, { bounds, counts, sumSeconds }: ConnectTimes) {
  let count = 0;
  const buckets = counts.map((inBucket, index) => {
    count += inBucket;
    const labels = { direction, le: bounds[index] ?? '+Inf' };
    return { metricName: `${name}_bucket`, labels, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: { direction }, value: sumSeconds },
    { metricName: `${name}_count`, labels: { direction }, value: count },
  ];
}
