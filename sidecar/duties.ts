import type { Registry } from 'prom-client';
import { descriptorLimit } from '../process/descriptor-limit.ts';
import type { Logger } from '../process/log.ts';
import { Balancer } from './balance/balancer.ts';
import type { SidecarConfig } from './config.ts';
import { openDns } from './dns/start.ts';
import { connectionsWithin, withinDescriptors } from './resource-limits.ts';
import { Forwarder } from './forward/forwarder.ts';
import { exposeForwarding } from './forward/metrics.ts';
import { listenForInterception } from './interception.ts';
import { exposeMessages } from './message/metrics.ts';
import { Messages } from './messages.ts';
import type { Directory } from './services/directory.ts';
import { openUdpUpstreams } from './udp-upstreams.ts';
import { listenForUpstreams, policyOf } from './upstreams.ts';

interface Surroundings {
  readonly directory: Directory;
  readonly registry: Registry;
  readonly log: Logger;
}

/** What a sidecar does for its workload. */
export interface Duties {
  /** Begins all of it, and returns what listens where. Rejects with a StartupError for the first that cannot. */
  listen(): Promise<Readonly<Record<string, readonly string[]>>>;
  /** For people. */
  view(): object;
  drain(): Promise<void>;
}

/** Connections, datagrams, names and messages, put together from the bootstrap. */
export async function openDuties(
  config: SidecarConfig,
  { directory, registry, log }: Surroundings,
): Promise<Duties> {
  const limits = withinFileLimit(config, log);
  const forwarder = new Forwarder({
    routes: directory,
    balancer: new Balancer({
      random: Math.random,
      identity: config.node.id,
      policyOf: policyOf(config.upstreams),
    }),
    log,
    limits,
  });
  // However the process ends: no half of an answer may look like the whole of it.
  process.on('exit', () => forwarder.abortAll());
  exposeForwarding(registry, forwarder);
  const udp = openUdpUpstreams({ config, routes: directory, registry, limits, log });
  const messages = new Messages(config, { directory, log });
  exposeMessages(registry, messages);
  const dns = await openDns(config.dns, { directory, registry, log });

  return {
    async listen() {
      const { interception } = config;
      return {
        upstreams: [...listenForUpstreams(forwarder, config.upstreams), ...udp.listen()],
        dns: (await dns?.listen()) ?? [],
        messages: messages.listen(),
        // Last: a workload that waits for it may ask for all of the others.
        intercepts: interception ? await listenForInterception(forwarder, interception, messages) : [],
      };
    },
    view: () => ({ limits, messages: messages.view(), dns: dns?.view(), udp: udp.view() }),
    async drain() {
      await Promise.all([forwarder.drain(config.drainMs), udp.drain()]);
      await messages.drain();
      dns?.close();
    },
  };
}

function withinFileLimit(
  { limits, interception, upstreams, messages }: SidecarConfig,
  log: Logger,
): SidecarConfig['limits'] {
  const descriptors = descriptorLimit();
  if (descriptors === undefined) return limits;
  // Inbound connections are intercepted or there are none.
  const directions = interception === undefined ? 1 : 2;
  const hasFlows = upstreams.some(({ protocol }) => protocol === 'udp');
  const fitting = connectionsWithin(descriptors, {
    directions: directions + (hasFlows ? 1 : 0),
    delivers: messages.deliverTo !== undefined,
  });
  const within = (what: string, field: 'maxConnections' | 'maxFlows'): number =>
    withinDescriptors(log, { what, field, allowed: limits[field], fitting, openFiles: descriptors });
  const maxConnections = within('connections', 'maxConnections');
  const maxFlows = hasFlows ? within('flows', 'maxFlows') : Math.min(limits.maxFlows, fitting);
  return { ...limits, maxConnections, maxFlows };
}
