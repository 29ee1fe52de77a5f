import { credentials } from '@grpc/grpc-js';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { json, startAdmin } from '../process/admin.ts';
import { hostPort } from '../process/listen.ts';
import { type Logger, LogLevel, stderrLogger } from '../process/log.ts';
import { runProgram } from '../process/program.ts';
import { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import { shutDownOnSignal } from '../process/shutdown.ts';
import { Balancer } from './balance/balancer.ts';
import { describeMistakes, loadConfig, type SidecarConfig } from './config.ts';
import { openDns } from './dns/start.ts';
import { connectionsWithin, descriptorLimit } from './forward/file-limit.ts';
import { Forwarder } from './forward/forwarder.ts';
import { exposeForwarding } from './forward/metrics.ts';
import { listenForInterception } from './interception.ts';
import { memoryLimit } from './memory-limit.ts';
import { exposeDiscovery, exposeReadiness } from './metrics.ts';
import { StartReadiness } from './start-readiness.ts';
import { listenForUdpUpstreams } from './udp-upstreams.ts';
import { listenForUpstreams, policyOf } from './upstreams.ts';
import { ceilingWithin } from './xds/ceiling.ts';
import { Discovery } from './xds/discovery.ts';

async function start(config: SidecarConfig, level: LogLevel, log: Logger): Promise<void> {
  const readiness = new Readiness();
  const registry = new Registry();
  const discovery = discover(config, log);
  const limits = withinFileLimit(config, log);
  const forwarder = new Forwarder({
    routes: discovery.directory,
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

  collectDefaultMetrics({ register: registry });
  exposeDiscovery(registry, discovery);
  exposeForwarding(registry, forwarder);
  const dns = await openDns(config.dns, { directory: discovery.directory, registry, log });
  const admin = await startAdmin({
    ...config.admin,
    readiness,
    registry,
    level,
    logger: log,
    localRoutes: { 'GET /config': () => json({ bootstrap: config, ...discovery.view(), dns: dns?.view() }) },
  });
  const udp = listenForUdpUpstreams({ config, routes: discovery.directory, registry, limits, log });
  const upstreams = [...listenForUpstreams(forwarder, config.upstreams), ...udp.listening];
  exposeReadiness(registry, becomeReadyWith(discovery, { config, readiness, log }));
  await discovery.start();
  const names = await dns?.listenAll();
  // After what is on disk is in use: until then nothing would be known to be balanced.
  const intercepts = config.interception && (await listenForInterception(forwarder, config.interception));

  log.info('Serving', { admin: hostPort(config.admin.host, admin.port), upstreams, intercepts, dns: names });
  shutDownOnSignal({
    logger: log,
    timeoutMs: config.drainMs + 5_000,
    steps: [
      { name: 'readiness', run: () => void readiness.block('shutting down') },
      {
        name: 'connections and flows',
        run: async () => void (await Promise.all([forwarder.drain(config.drainMs), udp.drain()])),
      },
      { name: 'DNS', run: () => dns?.close() },
      { name: 'discovery', run: () => discovery.stop() },
      { name: 'admin page', run: () => admin.close() },
    ],
  });
}

function withinFileLimit(
  { limits, interception, upstreams }: SidecarConfig,
  log: Logger,
): SidecarConfig['limits'] {
  const descriptors = descriptorLimit();
  if (descriptors === undefined) return limits;
  // Inbound connections are intercepted or there are none.
  const directions = interception === undefined ? 1 : 2;
  const hasFlows = upstreams.some(({ protocol }) => protocol === 'udp');
  const fitting = connectionsWithin(descriptors, directions + (hasFlows ? 1 : 0));
  const maxConnections = Math.min(limits.maxConnections, fitting);
  const maxFlows = Math.min(limits.maxFlows, fitting);
  if (maxConnections < limits.maxConnections) {
    log.info('Fewer connections fit than allowed: raise the limit of open files (ulimit -n)', {
      maxConnections,
      allowed: limits.maxConnections,
      openFiles: descriptors,
    });
  }
  return { ...limits, maxConnections, maxFlows };
}

function discover(
  { node, controlPlane, upstreams, limits, ...config }: SidecarConfig,
  log: Logger,
): Discovery {
  return new Discovery({
    node,
    addresses: controlPlane.addresses,
    credentials: credentials.createInsecure(),
    pinned: new Set(upstreams.map(({ service }) => service)),
    lastGoodFile: config.lastGoodFile,
    endpointsIdleMs: config.endpointsIdleMs,
    waitMs: limits.endpointsWaitMs,
    ceiling: ceilingWithin(memoryLimit()),
    log,
    world: {
      now: Date.now,
      random: Math.random,
      schedule,
    },
  });
}

function becomeReadyWith(
  { directory }: Discovery,
  { config, readiness, log }: { config: SidecarConfig; readiness: Readiness; log: Logger },
): StartReadiness {
  const { required, waitMs } = config.controlPlane;
  const mayGoWithout = config.interception !== undefined && !required;
  return new StartReadiness({
    directory,
    readiness,
    waitMs: mayGoWithout ? waitMs : undefined,
    schedule,
    log,
  });
}

await runProgram(async () => {
  const loaded = loadConfig((name) => process.env[name]);
  if (!loaded.ok) return { problems: [describeMistakes(loaded.mistakes)] };
  const { config } = loaded;
  const level = new LogLevel(config.log.level);
  await start(config, level, stderrLogger('sidecar', config.log.format, level));
  return { problems: [] };
});
