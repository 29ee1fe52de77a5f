import type { Histogram, Registry, RegistryContentType } from 'prom-client';
import { exposeCounter, exposeGauge } from '../../process/metrics.ts';
import type { MessageCounters } from './counters.ts';

interface Shown {
  readonly counters: MessageCounters;
  readonly openConnections: { readonly inbound: number; readonly outbound: number };
  readonly heldBytes: number;
}

/** Shows the message API's plain numbers to Prometheus. */
export function exposeMessages(registry: Registry<RegistryContentType>, shown: Shown): void {
  const { counters } = shown;
  exposeCounter(registry, {
    name: 'cortexflow_messages_total',
    help: 'Messages that were sent to this sidecar, by what became of them.',
    labelNames: ['outcome'],
    collect(add) {
      for (const [outcome, count] of Object.entries(counters.outcomes)) {
        if (count > 0 || outcome === 'delivered' || outcome === 'received') add(count, { outcome });
      }
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_messages_forwarded_total',
    help: 'Messages that were passed on to other sidecars, whatever became of them there.',
    collect: (add) => add(counters.forwarded),
  });
  exposeCounter(registry, {
    name: 'cortexflow_messages_retries_total',
    help: 'Messages that were given to another sidecar after one that did not take them.',
    collect: (add) => add(counters.retries),
  });
  exposeCounter(registry, {
    name: 'cortexflow_message_connections_total',
    help: 'Connections that were made to this sidecar for messages.',
    collect: (add) => add(counters.connections),
  });
  exposeGauge(registry, {
    name: 'cortexflow_message_open_connections',
    help: 'Connections open for messages: made to this sidecar, or by it to other sidecars.',
    labelNames: ['direction'],
    collect(add) {
      const { inbound, outbound } = shown.openConnections;
      add(inbound, { direction: 'inbound' });
      add(outbound, { direction: 'outbound' });
    },
  });
  exposeGauge(registry, {
    name: 'cortexflow_message_held_bytes',
    help: 'Bytes of lines and replies that are held for all connections.',
    collect: (add) => add(shown.heldBytes),
  });
  registry.registerMetric(secondsHistogram(counters));
}

/** prom-client's histogram takes one observation at a time; this one is read out of numbers already counted. */
function secondsHistogram({ times }: MessageCounters): Histogram {
  const name = 'cortexflow_message_seconds';
  const help = 'Time from a message to its answer, of messages whose lines were sound.';
  const get = () => {
    let count = 0;
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
    for (const [index, inBucket] of times.counts.entries()) {
      count += inBucket;
      values.push({
        metricName: `${name}_bucket`,
        labels: { le: times.bounds[index] ?? '+Inf' },
        value: count,
      });
    }
    values.push({ metricName: `${name}_sum`, labels: {}, value: times.sumSeconds });
    values.push({ metricName: `${name}_count`, labels: {}, value: count });
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values });
  };
  return { name, help, get, reset: () => {} } as unknown as Histogram;
}
