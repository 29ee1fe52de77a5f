import { hostPort, StartupError } from '../process/listen.ts';
import type { Policy } from './balance/balancer.ts';
import type { Upstream } from './config.ts';
import type { Forwarder } from './forward/forwarder.ts';
import type { Destination, EndpointGroup } from './services/decision.ts';

/** Which policy the upstreams ask for, by port of a Service. Those to one port agree: config sees to it. */
export function policyOf(upstreams: readonly Upstream[]): (group: EndpointGroup) => Policy {
  const policies = new Map(
    upstreams.map(({ service, port, protocol, balance }) => [`${service} ${port}/${protocol}`, balance]),
  );
  return ({ service, port }) =>
    policies.get(`${service.key} ${port.port}/${port.protocol}`) ?? 'least-latency';
}

/** Listens for every upstream of connections, and returns what listens where. Throws a StartupError for the first that cannot. */
export function listenForUpstreams(forwarder: Forwarder, upstreams: readonly Upstream[]): string[] {
  const ofTcp = upstreams.filter(({ protocol }) => protocol === 'tcp');
  return ofTcp.map(({ listen, service, port, protocol }) => {
    const destination: Destination = { kind: 'service', service, port, protocol };
    const name = `${service}:${port}`;
    const result = forwarder.listen({
      name: `Upstream ${name}`,
      address: { address: listen.host, port: listen.port },
      destinationOf: () => destination,
    });
    if (!result.ok) throw new StartupError(result.message);
    return `${hostPort(result.address.address, result.address.port)} → ${name}`;
  });
}
