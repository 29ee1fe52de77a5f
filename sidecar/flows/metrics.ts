import type { Registry, RegistryContentType } from 'prom-client';
import { exposeCounter, exposeGauge } from '../../process/metrics.ts';
import type { FlowCounters } from './counters.ts';
import type { FlowForwarder } from './forwarder.ts';

type AnyRegistry = Registry<RegistryContentType>;

/** Fields of the counters that are numbers of their own. */
type Total = {
  [Field in keyof FlowCounters]: FlowCounters[Field] extends number ? Field : never;
}[keyof FlowCounters];

const TOTALS: readonly { readonly name: string; readonly field: Total; readonly help: string }[] = [
  {
    name: 'cortexflow_udp_flows_opened_total',
    field: 'opened',
    help: 'Flows, each of one client address to one upstream.',
  },
  {
    name: 'cortexflow_udp_flows_moved_total',
    field: 'moved',
    help: 'Times that a flow lost its endpoint, because that left the service or refused.',
  },
  {
    name: 'cortexflow_udp_refused_total',
    field: 'refused',
    help: 'ICMP errors that came back from endpoints or from the way to them.',
  },
  {
    name: 'cortexflow_udp_sent_datagrams_total',
    field: 'sentDatagrams',
    help: 'Datagrams that clients sent to the service.',
  },
  {
    name: 'cortexflow_udp_sent_bytes_total',
    field: 'sentBytes',
    help: 'Bytes of datagrams that clients sent to the service.',
  },
  {
    name: 'cortexflow_udp_received_datagrams_total',
    field: 'receivedDatagrams',
    help: 'Datagrams that clients received from the service.',
  },
  {
    name: 'cortexflow_udp_received_bytes_total',
    field: 'receivedBytes',
    help: 'Bytes of datagrams that clients received from the service.',
  },
];

/** Shows the plain numbers of the flows to Prometheus. `service` is `namespace/name`. */
export function exposeFlows(registry: AnyRegistry, forwarder: FlowForwarder): void {
  exposeGauge(registry, {
    name: 'cortexflow_udp_open_flows',
    help: 'Flows that have not ended.',
    labelNames: ['service'],
    collect(add) {
      for (const { name, open } of forwarder.services) add(open, { service: name });
    },
  });
  for (const { name, field, help } of TOTALS) {
    exposeCounter(registry, {
      name,
      help,
      labelNames: ['service'],
      collect(add) {
        for (const service of forwarder.services) add(service.counters[field], { service: service.name });
      },
    });
  }
  exposeByReason(registry, forwarder, {
    name: 'cortexflow_udp_flows_closed_total',
    field: 'closed',
    help: 'Flows that have ended, by why.',
  });
  exposeByReason(registry, forwarder, {
    name: 'cortexflow_udp_datagrams_dropped_total',
    field: 'dropped',
    help: 'Datagrams that went nowhere, by why.',
  });
}

function exposeByReason(
  registry: AnyRegistry,
  forwarder: FlowForwarder,
  {
    name,
    field,
    help,
  }: { readonly name: string; readonly field: 'closed' | 'dropped'; readonly help: string },
): void {
  exposeCounter(registry, {
    name,
    help,
    labelNames: ['service', 'reason'],
    collect(add) {
      for (const service of forwarder.services) {
        for (const [reason, count] of Object.entries(service.counters[field])) {
          if (count > 0) add(count, { service: service.name, reason });
        }
      }
    },
  });
}
