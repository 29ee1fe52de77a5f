import type { ExecutionContext } from 'ava';
import { DnsProxy, type DnsProxyOptions } from '../../sidecar/dns/proxy.ts';
import type { Directory } from '../../sidecar/services/directory.ts';
import { directoryOf } from './directory.ts';
import { type Behaviour, NameServer } from './name-server.ts';

export interface StartedProxy {
  readonly directory: Directory;
  readonly proxy: DnsProxy;
  readonly port: number;
  readonly servers: readonly NameServer[];
}

const SERVICES = [
  { key: 'demo/hello', clusterIps: ['10.96.0.1'] },
  { key: 'demo/pods', type: 'headless' },
  { key: 'demo/many', type: 'headless' },
  { key: 'demo/inside', type: 'external-name', externalName: 'hello.demo.svc.cluster.local' },
  { key: 'demo/outside', type: 'external-name', externalName: 'www.example.com' },
  { key: 'demo/circle', type: 'external-name', externalName: 'circle.demo.svc.cluster.local' },
] as const;

/** A DNS proxy that knows some Services, before servers that behave so. */
export async function startProxyWith(
  t: ExecutionContext,
  options: Partial<DnsProxyOptions>,
  ...behaviours: readonly Behaviour[]
): Promise<StartedProxy> {
  const directory = directoryOf(SERVICES, {
    'demo/pods': ['10.0.0.1', '10.0.0.2'],
    'demo/many': Array.from({ length: 200 }, (_, index) => `10.0.1.${index}`),
  });
  const servers = await Promise.all(behaviours.map((behave) => NameServer.start(behave)));
  const proxy = new DnsProxy({
    directory,
    servers: servers.map(({ address }) => address),
    clusterDomain: 'cluster.local',
    cacheBytes: 1 << 20,
    ...options,
  });
  t.teardown(() => {
    proxy.close();
    directory.close();
    for (const server of servers) server.close();
  });
  for (;;) {
    // A port that is free by UDP may be taken by TCP.
    const bound = await proxy.listen({ address: '127.0.0.1', port: 0 }).catch(() => undefined);
    if (bound !== undefined) return { directory, proxy, port: bound.port, servers };
  }
}

export function startProxy(t: ExecutionContext, ...behaviours: readonly Behaviour[]): Promise<StartedProxy> {
  return startProxyWith(t, {}, ...behaviours);
}
