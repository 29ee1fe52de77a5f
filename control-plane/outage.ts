import type { Logger } from '../process/log.ts';
import type { Readiness } from '../process/readiness.ts';
import type { Source } from './source.ts';

export interface OutageOptions {
  readonly source: Pick<Source, 'outage'>;
  readonly readiness: Readiness;
  readonly logger: Logger;
  /** Called when the outage begins, and at each look while it lasts. */
  readonly turnAway: (isBeginning: boolean) => void;
  readonly everyMs?: number;
}

const EVERY_MS = 5_000;

/**
 * Looks from time to time whether the source can still be relied on. While it cannot, the program is not ready, and
 * its clients are turned away: another replica may be better off. Returns the function that ends it.
 */
export function watchOutage({
  source,
  readiness,
  logger,
  turnAway,
  everyMs = EVERY_MS,
}: OutageOptions): () => void {
  let becomeReady: (() => void) | undefined;
  const look = (): void => {
    const problem = source.outage();
    if (problem === undefined) {
      if (becomeReady !== undefined) logger.info('The source can be relied on again, clients are taken');
      becomeReady?.();
      becomeReady = undefined;
      return;
    }
    const isBeginning = becomeReady === undefined;
    if (isBeginning) logger.warn('What is known is out of date, clients are turned away', { problem });
    becomeReady ??= readiness.block(() => source.outage() ?? 'about to take clients again');
    turnAway(isBeginning);
  };
  const timer = setInterval(look, everyMs);
  return () => clearInterval(timer);
}
