import type { ApiServer } from '../api-server/api-server.ts';
import type { Logger } from '../process/log.ts';
import type { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import { type ClockWorld, Reconciler } from './certificates/reconciler.ts';

/** From 1.29 on, init containers with `restartPolicy: Always` are sidecars (KEP-753). */
const FIRST = { major: 1, minor: 29 } as const;

/** A cluster that is too old may be upgraded meanwhile. */
const UPGRADE_CHECK_MS = 60_000;

export interface NativeSidecarsOptions {
  readonly logger: Logger;
  readonly readiness: Readiness;
  readonly world?: ClockWorld;
}

/**
 * Holds readiness back until the API server is known to be of a Kubernetes with native sidecars. To an older one,
 * the sidecar is an init container as all others: it never ends, and the pod would never start.
 */
export function requireNativeSidecars(
  api: ApiServer,
  { logger, readiness, world = REAL }: NativeSidecarsOptions,
): Reconciler {
  let tooOld: string | undefined;
  const ready = readiness.block(
    () => tooOld ?? `waiting for the version of the API server: ${reconciler.problem ?? 'reading it'}`,
  );
  const reconciler: Reconciler = new Reconciler({
    what: 'Reading the version of the API server',
    logger,
    world,
    reconcile: async () => {
      const found = obstacleIn(await api.request({ method: 'GET', path: '/version' }));
      if (found === undefined) {
        ready();
        return Number.POSITIVE_INFINITY;
      }
      if (found !== tooOld) logger.error('No pod is injected: this Kubernetes is too old', { why: found });
      tooOld = found;
      return UPGRADE_CHECK_MS;
    },
  });
  reconciler.wake();
  return reconciler;
}

const REAL: ClockWorld = { now: Date.now, random: Math.random, schedule };

/** What a version that says nothing of this kind is of, nobody knows: it holds nothing up. */
function obstacleIn(version: unknown): string | undefined {
  const { gitVersion } = (version ?? {}) as { readonly gitVersion?: unknown };
  if (typeof gitVersion !== 'string') return undefined;
  const { major, minor } = /^v(?<major>\d+)\.(?<minor>\d+)/u.exec(gitVersion)?.groups ?? {};
  const isOlder =
    Number(major) < FIRST.major || (Number(major) === FIRST.major && Number(minor) < FIRST.minor);
  return isOlder
    ? `Kubernetes ${gitVersion} has no native sidecars, and a pod that is injected would never start: upgrade the ` +
        `cluster to ${FIRST.major}.${FIRST.minor} or newer`
    : undefined;
}
