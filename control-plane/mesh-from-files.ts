import type { Logger } from '../process/log.ts';
import { StartupError } from '../process/listen.ts';
import type { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import type { ControlPlaneConfig } from './config.ts';
import { createFilesSource, type FilesSource } from './files/source.ts';
import type { Clock } from './mesh/coalescer.ts';
import { Mesh } from './mesh/mesh.ts';
import { formatRejection } from './mesh/rejection.ts';
import type { SnapshotCell } from './xds/snapshot.ts';

interface Surroundings {
  readonly snapshots: SnapshotCell;
  readonly readiness: Readiness;
  readonly logger: Logger;
}

interface MeshFromFiles {
  readonly mesh: Mesh;
  readonly source: FilesSource;
  /** Resolves once everything that is in the folder has entered. */
  readonly synced: Promise<void>;
}

/** The mesh as a folder of YAML describes it. Rejects with a StartupError where there is no such folder. */
export async function startMesh(
  { directory, push }: ControlPlaneConfig,
  { snapshots, readiness, logger }: Surroundings,
): Promise<MeshFromFiles> {
  const isSynced = Promise.withResolvers<void>();
  const becomeReady = readiness.block(() => `reading ${directory}${obstaclesOf(source)}`);
  const mesh = new Mesh({
    snapshots,
    clock: systemClock,
    window: { quietMs: push.windowMs, longestMs: push.maxWindowMs },
    onRejection: (rejection) =>
      logger.warn('Rejected an object; its last good state stays', { reason: formatRejection(rejection) }),
    onWarning: (warning) =>
      logger.warn('Took an object without some part of it', { reason: formatRejection(warning) }),
  });
  const source = createFilesSource({
    directory,
    logger,
    onEvents: (events) => mesh.apply(events),
    onSynced: () => {
      mesh.synced();
      becomeReady();
      isSynced.resolve();
    },
  });
  const started = await source.start();
  if (started.outcome === 'failed') throw new StartupError(started.problem);
  return { mesh, source, synced: isSynced.promise };
}

/** The first of what has to be mended before anything is served; the log has all of it. */
function obstaclesOf(source: FilesSource): string {
  const [first, ...others] = source.obstacles();
  if (first === undefined) return '';
  return `; in the way: ${formatRejection(first)}${others.length === 0 ? '' : `; and ${others.length} more`}`;
}

const systemClock: Clock = { now: () => performance.now(), after: schedule };
