import { hostPort, StartupError } from '../process/listen.ts';
import type { Policy } from './balance/balancer.ts';
import type { Upstream } from './config.ts';
import type { Forwarder } from './forward/forwarder.ts';
import type { Destination } from './services/decision.ts';
import type { Service } from './services/service.ts';

/** Which policy the upstreams ask for, by Service. */
export function policyOf(upstreams: readonly Upstream[]): (service: Service) => Policy {
  const policies = new Map(upstreams.map(({ service, balance }) => [service, balance]));
  return ({ key }) => policies.get(key) ?? 'least-latency';
}

/** Listens for every upstream, and returns what listens where. Throws a StartupError for the first that cannot. */
export function listenForUpstreams(forwarder: Forwarder, upstreams: readonly Upstream[]): string[] {
  return upstreams.map(({ listen, service, port, protocol }) => {
    const destination: Destination = { kind: 'service', service, port, protocol };
    const name = `${service}:${port}`;
    const result = forwarder.listen({
      name,
      address: { address: listen.host, port: listen.port },
      destinationOf: () => destination,
    });
    if (!result.ok) throw new StartupError(result.message);
    return `${hostPort(result.address.address, result.address.port)} → ${name}`;
  });
}
