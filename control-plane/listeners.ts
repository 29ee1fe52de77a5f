import type { Server } from '@grpc/grpc-js';
import type { ConnectionLimits } from '../process/connection-limit.ts';
import { descriptorLimit } from '../process/descriptor-limit.ts';
import type { Logger } from '../process/log.ts';
import type { ControlPlaneConfig } from './config.ts';
import { type GrpcListener, listenGrpc } from './grpc-listener.ts';
import type { ByteBudget } from './xds/byte-budget.ts';

/** Connections to the inspection port: a few people and their tools. */
const INSPECTION_CONNECTIONS = { total: 128, perAddress: 128 };

/** Descriptors for the admin page (128), inspection (128), the API server, files, listeners and the runtime itself. */
const RESERVED = 384;

/** However few descriptors there are: a limit below that is no use to anybody. */
const FEWEST = 16;

/** Listens on the xDS and the inspection port. */
export async function startListeners(
  config: ControlPlaneConfig,
  servers: { readonly xds: Server; readonly inspection: Server },
  shared: { readonly held: ByteBudget; readonly logger: Logger },
): Promise<{ readonly xds: GrpcListener; readonly inspection: GrpcListener }> {
  const inspection = await listenGrpc(servers.inspection, {
    ...shared,
    what: 'inspection',
    address: config.inspection,
    connections: INSPECTION_CONNECTIONS,
  });
  const xds = await listenGrpc(servers.xds, {
    ...shared,
    what: 'xDS',
    address: config.xds,
    connections: xdsConnections(config.connections, shared.logger),
  });
  return { xds, inspection };
}

/** How many connections the xDS port may have, so that everything else always gets its descriptors. */
export function xdsConnections(
  { total, perAddress }: Pick<ConnectionLimits, 'total' | 'perAddress'>,
  logger: Logger,
  openFiles: number | undefined = descriptorLimit(),
): Pick<ConnectionLimits, 'total' | 'perAddress'> {
  const fitting = Math.max(FEWEST, (openFiles ?? Number.POSITIVE_INFINITY) - RESERVED);
  if (fitting >= total) return { total, perAddress };
  logger.info('Lowered the limit of connections to the open-file limit: raise it (ulimit -n)', {
    connections: fitting,
    allowed: total,
    openFiles,
  });
  return { total: fitting, perAddress: Math.min(perAddress, fitting) };
}
