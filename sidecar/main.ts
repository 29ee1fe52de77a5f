import '../process/node-version.mjs';
import { credentials } from '@grpc/grpc-js';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { json, page, startAdmin } from '../process/admin.ts';
import { hostPort } from '../process/listen.ts';
import type { Logger, LogLevel } from '../process/log.ts';
import { runProgram } from '../process/program.ts';
import { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import { shutDownOnSignal } from '../process/shutdown.ts';
import { readConfig, type SidecarConfig } from './config.ts';
import { configPage } from './config-page.ts';
import { openDuties } from './duties.ts';
import { memoryLimit } from './memory-limit.ts';
import { exposeDiscovery, exposeReadiness } from './metrics.ts';
import { StartReadiness } from './start-readiness.ts';
import { ceilingWithin } from './xds/ceiling.ts';
import { Discovery } from './xds/discovery.ts';

async function start(config: SidecarConfig, level: LogLevel, log: Logger): Promise<void> {
  const readiness = new Readiness();
  const registry = new Registry();
  const discovery = discover(config, log);
  const duties = await openDuties(config, { directory: discovery.directory, registry, log });

  collectDefaultMetrics({ register: registry });
  exposeDiscovery(registry, discovery);
  const admin = await startAdmin({
    ...config.admin,
    readiness,
    registry,
    level,
    logger: log,
    localRoutes: {
      'GET /config': page(() => json(configPage(config, { ...discovery.view(), ...duties.view() }))),
    },
  });
  exposeReadiness(registry, becomeReadyWith(discovery, { config, readiness, log }));
  const open = readiness.block('opening its ports');
  await discovery.start();
  // After what is on disk is in use: until then nothing would be known to be balanced.
  log.info('Serving', { admin: hostPort(config.admin.host, admin.port), ...(await duties.listen()) });
  open();

  shutDownOnSignal({
    logger: log,
    timeoutMs: config.drainMs + 5_000,
    steps: [
      { name: 'readiness', run: () => void readiness.block('shutting down') },
      { name: 'what is under way', run: () => duties.drain() },
      { name: 'discovery', run: () => discovery.stop() },
      { name: 'admin page', run: () => admin.close() },
    ],
  });
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

await runProgram({ name: 'sidecar', read: readConfig, start });
