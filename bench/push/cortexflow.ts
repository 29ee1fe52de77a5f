import { Server } from '@grpc/grpc-js';
import { listenGrpc } from '../../control-plane/grpc-listener.ts';
import { Mesh } from '../../control-plane/mesh/mesh.ts';
import { createXdsEngine } from '../../control-plane/xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../../control-plane/xds/server-options.ts';
import { AGGREGATED } from '../../control-plane/xds/services.ts';
import { SnapshotCell } from '../../control-plane/xds/snapshot.ts';
import type { Logger } from '../../process/log.ts';
import { RESOURCE_ORDER } from '../../wire/resource-kinds.ts';
import { measure } from './server-process.ts';
import { schedule } from '../../process/schedule.ts';

// Our control plane without its sources: changes enter as Kubernetes objects, as a source would bring them.

measure(async ({ objects }) => {
  const snapshots = new SnapshotCell();
  const clock = {
    now: () => performance.now(),
    after: schedule,
  };
  const mesh = new Mesh({ snapshots, clock });
  mesh.apply(objects.map((object) => ({ type: 'upsert', object })));
  mesh.synced();

  const engine = createXdsEngine({
    snapshots,
    logger: warningsOnly(),
    order: RESOURCE_ORDER,
    fullStateTypes: RESOURCE_ORDER,
  });
  const server = new Server(XDS_SERVER_OPTIONS);
  engine.addTo(server, [AGGREGATED]);
  const { port } = await listenGrpc(server, {
    what: 'xDS',
    address: { host: '127.0.0.1', port: 0 },
    connections: { total: 10_000, perAddress: 10_000 },
    held: engine.held,
  });
  return { port, change: ({ object }) => mesh.apply([{ type: 'upsert', object }]) };
});

/** A warning in the middle of a run is worth more than the nanoseconds it costs. */
function warningsOnly(): Logger {
  const logger: Logger = {
    error: console.error,
    warn: console.error,
    info: () => {},
    debug: () => {},
    isEnabled: (level) => level === 'error' || level === 'warn',
    with: () => logger,
  };
  return logger;
}
