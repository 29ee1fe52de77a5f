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
import { connectionsWithin, descriptorLimit } from './forward/file-limit.ts';
import { Forwarder } from './forward/forwarder.ts';
import { exposeForwarding } from './forward/metrics.ts';
import { listenForInterception } from './interception.ts';
import { memoryLimit } from './memory-limit.ts';
import { exposeMessages } from './message/metrics.ts';
import { Messages } from './messages.ts';
import { exposeDiscovery, exposeReadiness } from './metrics.ts';
import type { Routes } from './services/decision.ts';
import { StartReadiness } from './start-readiness.ts';
import { listenForUpstreams, policyOf } from './upstreams.ts';
import { ceilingWithin } from './xds/ceiling.ts';
import { Discovery } from './xds/discovery.ts';

async function start(config: SidecarConfig, level: LogLevel, log: Logger): Promise<void> {
  const readiness = new Readiness();
  const registry = new Registry();
  const discovery = discover(config, log);
  const forwarder = forwarderFor(config, discovery.directory, log);
  const messages = new Messages(config, { directory: discovery.directory, log });
  // However the process ends: no half of an answer may look like the whole of it.
  process.on('exit', () => forwarder.abortAll());

  collectDefaultMetrics({ register: registry });
  exposeDiscovery(registry, discovery);
  exposeForwarding(registry, forwarder);
  exposeMessages(registry, messages);
  const admin = await startAdmin({
    ...config.admin,
    readiness,
    registry,
    level,
    logger: log,
    localRoutes: {
      'GET /config': () => json({ bootstrap: config, messages: messages.view(), ...discovery.view() }),
    },
  });
  const upstreams = listenForUpstreams(forwarder, config.upstreams);
  exposeReadiness(registry, becomeReadyWith(discovery, { config, readiness, log }));
  await discovery.start();
  const { interception } = config;
  // After what is on disk is in use: until then nothing would be known to be balanced.
  const intercepts =
    interception && (await listenForInterception(forwarder, interception, (client) => messages.take(client)));
  messages.listen();

  log.info('Serving', {
    admin: hostPort(config.admin.host, admin.port),
    upstreams,
    intercepts,
    messages: messages.listening,
  });
  shutDownOnSignal({
    logger: log,
    timeoutMs: config.drainMs + 5_000,
    steps: [
      { name: 'readiness', run: () => void readiness.block('shutting down') },
      { name: 'connections', run: () => forwarder.drain(config.drainMs) },
      { name: 'messages', run: () => messages.drain() },
      { name: 'discovery', run: () => discovery.stop() },
      { name: 'admin page', run: () => admin.close() },
    ],
  });
}

function forwarderFor(config: SidecarConfig, routes: Routes, log: Logger): Forwarder {
  return new Forwarder({
    routes,
    balancer: new Balancer({
      random: Math.random,
      identity: config.node.id,
      policyOf: policyOf(config.upstreams),
    }),
    log,
    limits: withinFileLimit(config, log),
  });
}

function withinFileLimit({ limits, interception }: SidecarConfig, log: Logger): SidecarConfig['limits'] {
  const descriptors = descriptorLimit();
  if (descriptors === undefined) return limits;
  // Inbound connections are intercepted or there are none.
  const fitting = connectionsWithin(descriptors, interception === undefined ? 1 : 2);
  const maxConnections = Math.min(limits.maxConnections, fitting);
  if (maxConnections < limits.maxConnections) {
    log.info('Fewer connections fit than allowed: raise the limit of open files (ulimit -n)', {
      maxConnections,
      allowed: limits.maxConnections,
      openFiles: descriptors,
    });
  }
  return { ...limits, maxConnections };
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
