import type { Registry } from 'prom-client';
import { bindError, hostPort } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';
import { Balancer } from './balance/balancer.ts';
import type { SidecarConfig, Upstream } from './config.ts';
import { Udp } from './datagram/udp.ts';
import { FlowForwarder } from './flows/forwarder.ts';
import { exposeFlows } from './flows/metrics.ts';
import type { FlowLimits } from './flows/limits.ts';
import { socketAddressOf } from './forward/socket-address.ts';
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
  /** Returns what listens where, for people. Throws a StartupError for the first that cannot. */
  listen(): readonly string[];
  /** By Service, for people; undefined where there is no such upstream. */
  view(): ReturnType<FlowForwarder['view']> | undefined;
  drain(): Promise<void>;
}

/** The upstreams of datagrams of the bootstrap, if there is any. */
export function openUdpUpstreams({
  config,
  routes,
  registry,
  limits,
  log,
}: UdpUpstreamsOptions): UdpUpstreams {
  const upstreams = config.upstreams.filter(({ protocol }) => protocol === 'udp');
  if (upstreams.length === 0) {
    return { listen: () => [], view: () => undefined, drain: () => Promise.resolve() };
  }
  // A balancer of its own: what TCP knows of an endpoint is not what UDP knows of it.
  const balancer = new Balancer({
    random: Math.random,
    identity: config.node.id,
    policyOf: policyOf(upstreams),
  });
  const alsoListening = (config.dns?.listen ?? []).map(socketAddressOf);
  const forwarder = new FlowForwarder({ routes, balancer, log, udp: new Udp(), limits, alsoListening });
  exposeFlows(registry, forwarder);
  return {
    listen: () => upstreams.map((upstream) => listenFor(upstream, forwarder)),
    view: () => forwarder.view(),
    drain: () => forwarder.drain(config.drainMs),
  };
}

function listenFor(
  { listen: { host, port }, service, port: servicePort }: Upstream,
  forwarder: FlowForwarder,
) {
  const name = `${service}:${servicePort}/udp`;
  const destination = { kind: 'service', service, port: servicePort, protocol: 'udp' } as const;
  const result = forwarder.listen({ address: { address: host, port }, destination });
  if (!result.ok) {
    const error = Object.assign(new Error(result.code), { code: result.code });
    throw bindError(`upstream ${name}`, host, port, error);
  }
  return `${hostPort(result.address.address, result.address.port)}/udp → ${name}`;
}
