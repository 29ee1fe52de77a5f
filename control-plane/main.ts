import '../process/node-version.mjs';
import { Server, status } from '@grpc/grpc-js';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { startAdmin } from '../process/admin.ts';
import { hostPort } from '../process/listen.ts';
import type { Logger, LogLevel } from '../process/log.ts';
import { runProgram } from '../process/program.ts';
import { Readiness } from '../process/readiness.ts';
import { shutDownOnSignal } from '../process/shutdown.ts';
import { RESOURCE_ORDER } from '../wire/resource-kinds.ts';
import { type ControlPlaneConfig, readConfig } from './config.ts';
import type { GrpcListener } from './grpc-listener.ts';
import { createInspectionServer } from './inspection/inspection.ts';
import { startMesh, systemClock } from './mesh-source.ts';
import type { Mesh } from './mesh/mesh.ts';
import { exposeListeners } from './listener-metrics.ts';
import { startListeners } from './listeners.ts';
import { exposeControlPlane } from './metrics.ts';
import { watchOutage } from './outage.ts';
import { PushLog } from './push-log.ts';
import type { Source } from './source.ts';
import { anybody, type Identified, type Identify } from './xds/caller.ts';
import { createXdsEngine, type XdsEngine } from './xds/engine.ts';
import { xdsServerOptions } from './xds/server-options.ts';
import { AGGREGATED } from './xds/services.ts';
import { SnapshotCell } from './xds/snapshot.ts';

async function start(config: ControlPlaneConfig, level: LogLevel, logger: Logger): Promise<void> {
  const readiness = new Readiness();
  const registry = new Registry();
  const snapshots = new SnapshotCell();
  const { mesh, source, synced } = await startMesh(config, { snapshots, readiness, logger });

  const engine = createXdsEngine({
    snapshots,
    logger,
    order: RESOURCE_ORDER,
    fullStateTypes: RESOURCE_ORDER,
    limits: config.streams,
    identify: identifyBy(mesh, source),
  });
  const pushes = new PushLog({ snapshots, mesh, counters: engine.counters, clock: systemClock, logger });
  const options = xdsServerOptions(config.streams);
  const xds = new Server(options);
  engine.addTo(xds, [AGGREGATED]);
  const inspection = createInspectionServer(engine, readiness, options);

  collectDefaultMetrics({ register: registry });
  exposeControlPlane(registry, { engine, mesh, snapshots });
  source.expose(registry);
  const admin = await startAdmin({ ...config.admin, readiness, registry, level, logger });
  const listeners = await startListeners(config, { xds, inspection }, { held: engine.held, logger });
  exposeListeners(registry, listeners);
  const leave = (isBeginning: boolean): void => turnAway(listeners.xds, isBeginning ? engine : undefined);
  const stopWatching = watchOutage({ source, readiness, logger, turnAway: leave });
  shutDownOnSignal({
    logger,
    timeoutMs: config.shutdownMs,
    steps: [
      { name: 'readiness', run: () => void readiness.block('shutting down') },
      { name: 'outage', run: stopWatching },
      { name: 'source', run: () => source.close() },
      { name: 'streams', run: () => drain(xds, listeners.xds, { engine, windowMs: config.drainMs }) },
      {
        name: 'listeners',
        run: () => close([engine, mesh, pushes, ...Object.values(listeners)], [xds, inspection]),
      },
      { name: 'admin page', run: () => admin.close() },
    ],
  });

  await synced;
  logger.info('Serving', {
    source: source.name,
    xds: hostPort(config.xds.host, listeners.xds.port),
    inspection: hostPort(config.inspection.host, listeners.inspection.port),
    admin: hostPort(config.admin.host, admin.port),
  });
}

function identifyBy(mesh: Pick<Mesh, 'isSynced'>, source: Source): Identify {
  return (call) => {
    if (!mesh.isSynced) return NOT_YET;
    return source.outage() === undefined ? anybody(call) : OUT_OF_DATE;
  };
}

/** Half a mesh looks like a mesh that lost the other half: until all is read, nobody is told anything. */
const NOT_YET: Identified = {
  rejected: {
    code: status.UNAVAILABLE,
    details: 'The control plane is still reading what it is to serve: try again after a moment.',
  },
};

const OUT_OF_DATE = {
  rejected: {
    code: status.UNAVAILABLE,
    details: 'What this control plane knows is out of date: connect to another one.',
  },
} satisfies Identified;

/** Over how long streams end when the outage begins, and how long a connection may take to end in milliseconds. */
const TURN_AWAY_MS = 30_000;

/**
 * Connections have to end as well as streams, since a stream that ends comes back on its connection. Those that are
 * made meanwhile, before the others know that this replica is not ready, have no streams and end at once.
 */
function turnAway(listener: GrpcListener, engine: XdsEngine | undefined): void {
  engine?.endStreams(TURN_AWAY_MS, OUT_OF_DATE.rejected.details);
  listener.drain(2 * TURN_AWAY_MS);
}

/** Ends streams one by one, and tells clients to make their next one on another connection, to another replica maybe. */
async function drain(
  server: Server,
  listener: GrpcListener,
  { engine, windowMs }: { readonly engine: XdsEngine; readonly windowMs: number },
): Promise<void> {
  listener.close();
  server.tryShutdown(() => {});
  await engine.drain(windowMs);
}

function close(parts: readonly { close(): void }[], servers: readonly Server[]): void {
  for (const part of parts) part.close();
  for (const server of servers) server.forceShutdown();
}

await runProgram({ name: 'control-plane', read: readConfig, start });
