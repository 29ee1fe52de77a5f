import type { Histogram, Registry, RegistryContentType } from 'prom-client';
import { exposeCounter, exposeGauge, type Metric } from '../../process/metrics.ts';
import type { ConnectTimes } from './counters.ts';
import { ENDPOINTS_SHOWN, type EndpointSample, EndpointSeries } from './endpoint-series.ts';
import type { Forwarder } from './forwarder.ts';

type AnyRegistry = Registry<RegistryContentType>;
type Add = Parameters<Metric['collect']>[0];

/** Shows the forwarder's plain numbers to Prometheus. They are only gathered when somebody scrapes. */
export function exposeForwarding(registry: AnyRegistry, forwarder: Forwarder): void {
  exposeConnections(registry, forwarder);
  exposeBytes(registry, forwarder);
  exposeConnects(registry, forwarder);
  exposeEndpoints(registry, forwarder);
}

function exposeConnections(registry: AnyRegistry, forwarder: Forwarder): void {
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connections_opened_total',
    help: 'Connections accepted from clients, also those refused afterwards.',
    labelNames: ['service'],
    collect(add) {
      for (const { name, counters } of forwarder.services) add(counters.opened, { service: name });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connections_closed_total',
    help: 'Connections that have ended, by how: complete, reset by a side, timed out, or why they were refused.',
    labelNames: ['service', 'outcome'],
    collect(add) {
      for (const { name, counters } of forwarder.services) {
        for (const [outcome, count] of Object.entries(counters.closed)) {
          if (count > 0) add(count, { service: name, outcome });
        }
      }
    },
  });
  exposeGauge(registry, {
    name: 'cortexflow_tcp_open_connections',
    help: 'Connections accepted from clients and not ended.',
    collect: (add) => add(forwarder.connections.size),
  });
}

function exposeBytes(registry: AnyRegistry, forwarder: Forwarder): void {
  const count = (add: Add, field: 'sentBytes' | 'receivedBytes'): void => {
    for (const { name, counters } of forwarder.services) add(counters[field], { service: name });
    for (const connection of forwarder.connections) {
      if (connection.service !== '') add(connection[field], { service: connection.service });
    }
  };
  exposeCounter(registry, {
    name: 'cortexflow_tcp_sent_bytes_total',
    help: 'Bytes that clients of this sidecar sent to the service.',
    labelNames: ['service'],
    collect: (add) => count(add, 'sentBytes'),
  });
  exposeCounter(registry, {
    name: 'cortexflow_tcp_received_bytes_total',
    help: 'Bytes that clients of this sidecar received from the service.',
    labelNames: ['service'],
    collect: (add) => count(add, 'receivedBytes'),
  });
}

function exposeConnects(registry: AnyRegistry, forwarder: Forwarder): void {
  registry.registerMetric(connectHistogram(forwarder.connectTimes));
  exposeCounter(registry, {
    name: 'cortexflow_tcp_connect_failures_total',
    help: 'Attempts to connect to an endpoint that failed; most are followed by an attempt at another one.',
    labelNames: ['service', 'reason'],
    collect(add) {
      for (const { name, counters } of forwarder.services) {
        for (const [reason, count] of Object.entries(counters.connectFailures)) {
          if (count > 0) add(count, { service: name, reason });
        }
      }
    },
  });
}

function exposeEndpoints(registry: AnyRegistry, forwarder: Forwarder): void {
  const labelNames = ['service', 'endpoint'];
  const allSeries = new Map<string, EndpointSeries>();
  const forEach = (show: (sample: EndpointSample, labels: Record<string, string>) => void): void => {
    for (const { name } of forwarder.services) {
      const series = allSeries.get(name) ?? new EndpointSeries();
      allSeries.set(name, series);
      for (const sample of series.read(forwarder.balancer.loads(name))) {
        show(sample, { service: name, endpoint: sample.endpoint });
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
function connectHistogram(times: ConnectTimes): Histogram {
  const name = 'cortexflow_tcp_connect_seconds';
  const help = 'Time until an endpoint accepted a connection, of attempts that succeeded.';
  const read = () => {
    let count = 0;
    const buckets = times.counts.map((inBucket, index) => {
      count += inBucket;
      return { metricName: `${name}_bucket`, labels: { le: times.bounds[index] ?? '+Inf' }, value: count };
    });
    const sums = [
      { metricName: `${name}_sum`, labels: {}, value: times.sumSeconds },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return Promise.resolve({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: [...buckets, ...sums],
    });
  };
  return { name, help, get: read, reset: () => {} } as unknown as Histogram;
}
