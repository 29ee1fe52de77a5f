import { Server } from '@grpc/grpc-js';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { startAdmin } from '../process/admin.ts';
import { hostPort } from '../process/listen.ts';
import { type Logger, LogLevel, stderrLogger } from '../process/log.ts';
import { runProgram } from '../process/program.ts';
import { Readiness } from '../process/readiness.ts';
import { shutDownOnSignal } from '../process/shutdown.ts';
import { RESOURCE_ORDER } from '../wire/resource-kinds.ts';
import { type ControlPlaneConfig, readConfig } from './config.ts';
import { listenGrpc } from './grpc-listener.ts';
import { createInspectionServer } from './inspection/inspection.ts';
import { startMesh } from './mesh-from-files.ts';
import { exposeControlPlane } from './metrics.ts';
import { createXdsEngine, type XdsEngine } from './xds/engine.ts';
import { XDS_SERVER_OPTIONS } from './xds/server-options.ts';
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
    limits: {
      streamAgeMs: config.streams.maxAgeMs,
      newStreamsPerSecond: config.streams.newPerSecond,
      newStreamsBurst: config.streams.burst,
    },
  });
  const xds = new Server(XDS_SERVER_OPTIONS);
  engine.addTo(xds, [AGGREGATED]);
  const inspection = createInspectionServer(engine, readiness);

  collectDefaultMetrics({ register: registry });
  exposeControlPlane(registry, { counters: engine.counters, mesh, snapshots });
  const admin = await startAdmin({ ...config.admin, readiness, registry, level });
  const inspectionPort = await listenGrpc(inspection, 'inspection', config.inspection);
  // Sidecars are let in last: what they are told first is complete.
  await synced;
  const xdsPort = await listenGrpc(xds, 'xDS', config.xds);

  const { directory } = config;
  logger.info('Serving', {
    directory,
    xds: hostPort(config.xds.host, xdsPort),
    inspection: hostPort(config.inspection.host, inspectionPort),
    admin: hostPort(config.admin.host, admin.port),
  });
  shutDownOnSignal({
    logger,
    timeoutMs: config.shutdownMs,
    steps: [
      { name: 'readiness', run: () => void readiness.block('shutting down') },
      { name: 'files', run: () => source.close() },
      { name: 'streams', run: () => drain(xds, engine, config.drainMs) },
      {
        name: 'listeners',
        run: () => {
          for (const part of [engine, mesh]) part.close();
          for (const server of [xds, inspection]) server.forceShutdown();
        },
      },
      { name: 'admin page', run: () => admin.close() },
    ],
  });
}

/** Ends streams one by one, and tells clients to make their next one on another connection, to another replica maybe. */
async function drain(server: Server, engine: XdsEngine, windowMs: number): Promise<void> {
  server.tryShutdown(() => {});
  await engine.drain(windowMs);
}

await runProgram(async () => {
  const result = readConfig((name) => process.env[name]);
  if ('problems' in result) return result;
  const { config } = result;
  const level = new LogLevel(config.log.level);
  await start(config, level, stderrLogger('control-plane', config.log.format, level));
  return { problems: [] };
});
