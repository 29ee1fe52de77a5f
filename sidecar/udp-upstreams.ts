import type { Registry } from 'prom-client';
import { bindError, hostPort } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';
import { Balancer } from './balance/balancer.ts';
import type { SidecarConfig, Upstream } from './config.ts';
import { systemCalls } from './datagram/system-calls.ts';
import { Udp } from './datagram/udp.ts';
import { FlowForwarder } from './flows/forwarder.ts';
import { exposeFlows } from './flows/metrics.ts';
import type { FlowLimits } from './flows/limits.ts';
import { socketAddressOf } from './net/socket-address.ts';
import type { Routes } from './services/decision.ts';
import { policyOf } from './upstreams.ts';

export interface UdpUpstreamsOptions {
  readonly config: SidecarConfig;
  readonly routes: Routes;
  readonly registry: Registry;
  readonly limits: FlowLimits;
  readonly log: Logger;
}

type WayOfDatagrams = 'many at a time' | 'one at a time';

export interface UdpUpstreams {
  /** Returns what listens where, for people. Throws a StartupError for the first that cannot. */
  listen(): readonly string[];
  /** For people. */
  view(): {
    /** How datagrams are received and sent, those of the DNS proxy too. */
    readonly datagrams: WayOfDatagrams;
    /** As many as there is room for. */
    readonly maxFlows: number;
    readonly services: ReturnType<FlowForwarder['view']>;
  };
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
  const shared = { datagrams: wayOfDatagrams(config, log), maxFlows: limits.maxFlows };
  if (upstreams.length === 0) {
    return {
      listen: () => [],
      view: () => ({ ...shared, services: {} }),
      drain: () => Promise.resolve(),
    };
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
    view: () => ({ ...shared, services: forwarder.view() }),
    drain: () => forwarder.drain(config.drainMs),
  };
}

/** Says so where it is the slow way. */
function wayOfDatagrams({ dns, upstreams }: SidecarConfig, log: Logger): WayOfDatagrams {
  if (systemCalls() !== undefined) return 'many at a time';
  if (dns !== undefined || upstreams.some(({ protocol }) => protocol === 'udp')) {
    log.info(
      'Datagrams are received and sent one at a time, which is slower: run Node 26 on 64-bit Linux with --experimental-ffi, and with --allow-ffi where it has --permission',
    );
  }
  return 'one at a time';
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
