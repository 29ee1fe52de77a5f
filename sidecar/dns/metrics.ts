import { type Histogram, type Registry, type RegistryContentType } from 'prom-client';
import { exposeCounter, exposeGauge } from '../../process/metrics.ts';
import type { ResponseTimes } from './counters.ts';
import type { DnsProxy } from './proxy.ts';

type AnyRegistry = Registry<RegistryContentType>;

/** What the DNS proxy counts, under names that a dashboard may rely on. */
export function exposeDns(registry: AnyRegistry, { counters, cache, forwarder, tcp }: DnsProxy): void {
  exposeCounter(registry, {
    name: 'cortexflow_dns_requests_total',
    help: 'Total DNS Requests that were answered, by who knew the answer: table, cache, stale, upstream, or the sidecar itself where nobody did.',
    labelNames: ['type', 'answered_by', 'rcode'],
    collect(add) {
      for (const { type, answeredBy, rcode, value } of counters.requests) {
        if (value > 0) add(value, { type, answered_by: answeredBy, rcode });
      }
    },
  });
  registry.registerMetric(responseHistogram(counters.times));
  const totals = {
    cortexflow_dns_ignored_total: ['What came and is no query.', () => counters.ignored],
    cortexflow_dns_refused_total: [
      'Requests turned away, and connections closed, because of a limit.',
      () => counters.refused,
    ],
    cortexflow_dns_mismatched_total: [
      'Datagrams and messages from DNS servers that answer nothing that is awaited: late, or forged.',
      () => counters.mismatched,
    ],
    cortexflow_dns_retries_total: [
      'Times that a question was put to a DNS server again, the same or another.',
      () => counters.retries,
    ],
  } as const;
  for (const [name, [help, value]] of Object.entries(totals)) {
    exposeCounter(registry, { name, help, collect: (add) => add(value()) });
  }
  const gauges = {
    cortexflow_dns_cache_bytes: ['What the kept answers of DNS servers take.', () => cache.bytes],
    cortexflow_dns_cache_answers: ['Kept answers of DNS servers.', () => cache.size],
    cortexflow_dns_waiting: [
      'Questions under way to DNS servers, by UDP and TCP.',
      () => forwarder.flightCount,
    ],
    cortexflow_dns_tcp_connections: ['Open connections to the DNS proxy.', () => tcp.connectionCount],
  } as const;
  for (const [name, [help, value]] of Object.entries(gauges)) {
    exposeGauge(registry, { name, help, collect: (add) => add(value()) });
  }
}

/** prom-client's histogram takes one observation at a time; this one is read out of numbers already counted. */
function responseHistogram(times: ResponseTimes): Histogram {
  const name = 'cortexflow_dns_response_seconds';
  const help = 'DNS Response Time: from when a request was received until its answer was sent.';
  const get = () =>
    Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: valuesOf(name, times) });
  return { name, help, get, reset: () => {} } as unknown as Histogram;
}

function valuesOf(name: string, { bounds, counts, sumSeconds }: ResponseTimes) {
  let count = 0;
  const buckets = counts.map((inBucket, index) => {
    count += inBucket;
    return { metricName: `${name}_bucket`, labels: { le: bounds[index] ?? '+Inf' }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: sumSeconds },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
}
