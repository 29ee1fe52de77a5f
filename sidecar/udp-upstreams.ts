import type { Registry } from 'prom-client';
import { bindError, hostPort } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';
import { Balancer } from './balance/balancer.ts';
import type { SidecarConfig } from './config.ts';
import { Udp } from './datagram/udp.ts';
import { FlowForwarder } from './flows/forwarder.ts';
import { exposeFlows } from './flows/metrics.ts';
import type { FlowLimits } from './flows/limits.ts';
import type { Routes } from './services/decision.ts';
import { policyOf } from './upstreams.ts';

export interface UdpUpstreamsOptions {
  readonly config: SidecarConfig;
  readonly routes: Routes;
  readonly registry: Registry;
  readonly limits: FlowLimits;
  readonly log: Logger;
}

export interface UdpUpstreams {
  /** What listens where, for people. */
  readonly listening: readonly string[];
  drain(): Promise<void>;
}

/** Listens for every upstream of datagrams, if there is any. Throws a StartupError for the first that cannot. */
export function listenForUdpUpstreams({
  config,
  routes,
  registry,
  limits,
  log,
}: UdpUpstreamsOptions): UdpUpstreams {
  const upstreams = config.upstreams.filter(({ protocol }) => protocol === 'udp');
  if (upstreams.length === 0) return { listening: [], drain: () => Promise.resolve() };
  // A balancer of its own: what TCP knows of an endpoint is not what UDP knows of it.
  const balancer = new Balancer({
    random: Math.random,
    identity: config.node.id,
    policyOf: policyOf(upstreams),
  });
  const forwarder = new FlowForwarder({ routes, balancer, log, udp: new Udp(), limits });
  exposeFlows(registry, forwarder);
  const listening = upstreams.map(({ listen: { host, port }, service, port: servicePort }) => {
    const name = `${service}:${servicePort}/udp`;
    const destination = { kind: 'service', service, port: servicePort, protocol: 'udp' } as const;
    const result = forwarder.listen({ address: { address: host, port }, destination });
    if (!result.ok) {
      const error = Object.assign(new Error(result.code), { code: result.code });
      throw bindError(`upstream ${name}`, host, port, error);
    }
    return `${hostPort(result.address.address, result.address.port)}/udp → ${name}`;
  });
  return { listening, drain: () => forwarder.drain(config.drainMs) };
}
