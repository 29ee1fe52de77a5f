import { schedule } from '../../process/schedule.ts';
import type { Change } from '../../sidecar/services/change.ts';
import { Directory } from '../../sidecar/services/directory.ts';
import type { Service } from '../../sidecar/services/service.ts';

/** A directory that is told what a control plane would tell it; endpoints that are asked for come as given. */
export function directoryOf(
  services: readonly Partial<Service>[],
  endpoints: Readonly<Record<string, readonly string[]>> = {},
): Directory {
  const origin = { version: '1', source: 'control-plane', sinceMs: 0 } as const;
  const directory: Directory = new Directory({
    locality: { zone: '', node: '' },
    schedule,
    endpointsIdleMs: 60_000,
    waitMs: 1_000,
    pinned: [],
    source: {
      subscribe: (service) => setImmediate(() => directory.apply([slice(service, endpoints[service] ?? [])])),
      unsubscribe: () => {},
    },
  });
  const all = services.map((fields): Change => {
    const [namespace = '', name = ''] = (fields.key ?? '').split('/');
    const service: Service = {
      key: '',
      namespace,
      name,
      type: 'cluster-ip',
      clusterIps: [],
      ipFamilies: ['ipv4'],
      externalName: undefined,
      ports: [{ name: 'web', port: 80, protocol: 'tcp', appProtocol: '' }],
      affinityTimeoutMs: undefined,
      trafficDistribution: 'cluster-wide',
      internalTrafficPolicy: 'cluster',
      ...fields,
    };
    return { kind: 'service', service, origin };
  });
  directory.apply([{ kind: 'services-known' }, ...all]);
  return directory;
}

function slice(service: string, addresses: readonly string[]): Change {
  const origin = { version: '1', source: 'control-plane', sinceMs: 0 } as const;
  if (addresses.length === 0) return { kind: 'endpoints-empty', service };
  return {
    kind: 'slice',
    origin,
    slice: {
      key: `${service}/1`,
      service,
      family: 'ipv4',
      ports: [{ name: 'web', port: 8080, protocol: 'tcp' }],
      endpoints: addresses.map((address) => ({
        address,
        health: 'ready',
        hostname: '',
        node: '',
        zone: '',
        zoneHints: [],
        nodeHints: [],
        pod: '',
        serviceAccount: '',
        inMesh: false,
      })),
    },
  };
}
