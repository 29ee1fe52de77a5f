import { schedule } from '../../process/schedule.ts';
import type { Change } from '../../sidecar/services/change.ts';
import type { Extent } from '../../sidecar/services/sync.ts';
import { Directory } from '../../sidecar/services/directory.ts';
import type { Service } from '../../sidecar/services/service.ts';
import { endpointOf, serviceOf } from '../fixtures/mesh.ts';

/** Every Service and every endpoint that exists was received. */
export const WHOLE: Extent = { services: true, endpoints: { has: () => true }, unreadable: new Set() };

const origin = { version: '1', source: 'control-plane', sinceMs: 0 } as const;

/** A directory that is told what a control plane would tell it; endpoints that are asked for come as given. */
export function directoryOf(
  services: readonly Partial<Service>[],
  endpoints: Readonly<Record<string, readonly string[]>> = {},
): Directory {
  const directory: Directory = new Directory({
    locality: { zone: '', node: '' },
    schedule,
    endpointsIdleMs: 60_000,
    waitMs: 1_000,
    pinned: [],
    source: {
      subscribe: (service) =>
        setImmediate(() => directory.apply([endpointsTold(service, endpoints[service] ?? [])])),
      unsubscribe: () => {},
    },
  });
  directory.apply([
    { kind: 'services-known' },
    { kind: 'extent', extent: WHOLE },
    ...services.map(serviceTold),
  ]);
  return directory;
}

/** Of a Service: what is left out is as of one without cluster IPs, with the port 80. */
export function serviceTold(fields: Partial<Service>): Change {
  const ports = [{ name: 'web', port: 80, protocol: 'tcp', appProtocol: '' }] as const;
  return { kind: 'service', service: serviceOf(fields.key ?? '', { ports, ...fields }), origin };
}

/** Of ready endpoints at these addresses. */
export function endpointsTold(service: string, addresses: readonly string[]): Change {
  if (addresses.length === 0) return { kind: 'endpoints-empty', service };
  return {
    kind: 'slice',
    origin,
    slice: {
      key: `${service}/1`,
      service,
      family: 'ipv4',
      ports: [{ name: 'web', port: 8080, protocol: 'tcp' }],
      endpoints: addresses.map((address) => endpointOf(address)),
    },
  };
}
