import type { Logger } from '../process/log.ts';
import type { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import type { ControlPlaneConfig, SourceConfig } from './config.ts';
import type { Clock } from './mesh/coalescer.ts';
import { Mesh } from './mesh/mesh.ts';
import { formatRejection } from './mesh/rejection.ts';
import type { Listener, Source } from './source.ts';
import type { SnapshotCell } from './xds/snapshot.ts';

interface Surroundings {
  readonly snapshots: SnapshotCell;
  readonly readiness: Readiness;
  readonly logger: Logger;
}

interface MeshAndSource {
  readonly mesh: Mesh;
  readonly source: Source;
  /** Resolves once everything that there is has entered. */
  readonly synced: Promise<void>;
}

/** The mesh as its source describes it. Rejects with a StartupError where there is no such source. */
export async function startMesh(
  config: Pick<ControlPlaneConfig, 'source' | 'push'>,
  { snapshots, readiness, logger }: Surroundings,
): Promise<MeshAndSource> {
  const isSynced = Promise.withResolvers<void>();
  const becomeReady = readiness.block(() => `reading ${source.name}${inTheWay(source.obstacles())}`);
  const mesh: Mesh = new Mesh({
    snapshots,
    clock: systemClock,
    window: { quietMs: config.push.windowMs, longestMs: config.push.maxWindowMs },
    onRejection: (rejection) =>
      logger.warn(
        mesh.hasLastGood(rejection) ? 'Rejected an object; its last good state stays' : 'Rejected an object',
        { reason: formatRejection(rejection) },
      ),
    onWarning: (warning) =>
      logger.warn('Accepted an object without some part of it', { reason: formatRejection(warning) }),
  });
  const listener: Listener = {
    onEvents: (events) => mesh.apply(events),
    onSynced: (known) => {
      mesh.synced(known);
      becomeReady();
      isSynced.resolve();
    },
  };
  const source = await openSource(config.source, listener, logger);
  readiness.remark(() => source.remark());
  readiness.remark(() => unreadable(mesh));
  return { mesh, source, synced: isSynced.promise };
}

/** Each is loaded only where it is used: Kubernetes brings an HTTPS client with it, and maybe all of client-node. */
async function openSource(config: SourceConfig, listener: Listener, logger: Logger): Promise<Source> {
  if (config.from === 'files') {
    const { openFiles } = await import('./files/open.ts');
    return openFiles(config.directory, listener, logger);
  }
  const { openKubernetes } = await import('./kubernetes/open.ts');
  return openKubernetes(config.serviceAccountDirectory, listener, logger);
}

/** Names one of the objects that cannot be read, or only in part; the log has all of them and the reasons. */
function unreadable({ unreadable: [first, ...others] }: Mesh): string | undefined {
  if (first === undefined) return undefined;
  return `not wholly readable: ${first}${others.length === 0 ? '' : ` and ${others.length} more`}`;
}

/** The first of what has to be mended before anything is served; the log has all of it. */
function inTheWay([first, ...others]: readonly string[]): string {
  if (first === undefined) return '';
  return `; in the way: ${first}${others.length === 0 ? '' : `; and ${others.length} more`}`;
}

export const systemClock: Clock = { now: () => performance.now(), after: schedule };
