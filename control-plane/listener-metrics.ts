import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from '../process/metrics.ts';
import type { GrpcListener } from './grpc-listener.ts';

/** Shows the connections of each listener, and what it refused. */
export function exposeListeners(
  registry: Registry,
  listeners: Readonly<Record<string, Pick<GrpcListener, 'connections' | 'messages'>>>,
): void {
  const each = Object.entries(listeners);
  exposeGauge(registry, {
    name: 'cortexflow_grpc_connections',
    help: 'Connections that are open.',
    labelNames: ['listener'],
    collect: (add) => {
      for (const [listener, { connections }] of each) add(connections.size, { listener });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_grpc_connections_refused_total',
    help: 'Connections closed at once, or without a stream when others needed their place.',
    labelNames: ['listener', 'reason'],
    collect: (add) => {
      for (const [listener, { connections }] of each) {
        for (const [reason, count] of Object.entries(connections.refused)) add(count, { listener, reason });
        add(connections.evicted, { listener, reason: 'idle' });
      }
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_grpc_messages_refused_total',
    help: 'Streams reset because a message was compressed, took too long to come in, or too many bytes are held.',
    labelNames: ['listener', 'reason'],
    collect: (add) => {
      for (const [listener, { messages }] of each) {
        for (const [reason, count] of Object.entries(messages.refused)) add(count, { listener, reason });
      }
    },
  });
}
