import { ApiError, GarbledError } from './api-server.ts';

/** Where listing and watching one kind stands. */
export interface Progress {
  readonly step: Step;
  /** Lists and watches in a row that did not get through. */
  readonly failures: number;
  /** Versions in a row that could not be watched from. */
  readonly expiries: number;
  /** How long watches have been open since anything was told. */
  readonly quietMs: number;
}

export type Step =
  | { readonly do: 'list' }
  /** Of what changed after this version. */
  | { readonly do: 'watch'; readonly resourceVersion: string };

/** How a list or a watch came to its end. */
export type Ending =
  | { readonly outcome: 'listed'; readonly resourceVersion: string }
  /** The API server ended the watch in good order, as it does when its time is up. */
  | { readonly outcome: 'ended'; readonly openMs: number }
  /** `openMs` is 0 for a list, and for a watch that never was accepted. */
  | { readonly outcome: 'failed'; readonly openMs: number; readonly error: unknown };

export const BEGINNING: Progress = { step: { do: 'list' }, failures: 0, expiries: 0, quietMs: 0 };

/** A watch that ends sooner was not meant to. */
const SHORT_MS = 1_000;
/** A watch that was open for so long did get through. */
const LASTING_MS = 10_000;
/**
 * A kind in which nothing happens gets bookmarks from etcd's next progress notification on, which comes every 10
 * minutes. Where they stay away for longer, the version may be of a future that does not come: etcd was restored
 * from a backup.
 */
const LONGEST_QUIET_MS = 1_200_000;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 10_000;
const LONGEST_ASKED_FOR_MS = 60_000;

/** A watch told that everything up to this version is known. */
export function advanced(resourceVersion: string): Progress {
  return { step: { do: 'watch', resourceVersion }, failures: 0, expiries: 0, quietMs: 0 };
}

/** What to do after that. Resuming a watch costs nothing; listing costs the API server, so it is the last resort. */
export function next(progress: Progress, ending: Ending): Progress {
  if (ending.outcome === 'listed') {
    const { resourceVersion } = ending;
    return { ...progress, step: { do: 'watch', resourceVersion }, failures: 0, quietMs: 0 };
  }
  const quietMs = progress.quietMs + ending.openMs;
  const { step } = progress;
  if (ending.outcome === 'ended' && ending.openMs >= SHORT_MS) {
    return quietMs < LONGEST_QUIET_MS ? { step, failures: 0, expiries: 0, quietMs } : BEGINNING;
  }
  if (ending.outcome === 'failed' && cannotBeResumed(ending.error)) {
    return { ...BEGINNING, expiries: progress.expiries + 1 };
  }
  const failures = (ending.openMs >= LASTING_MS ? 0 : progress.failures) + 1;
  return { step, failures, expiries: progress.expiries, quietMs };
}

/**
 * 410 (Expired): etcd does not have that version any more. 400 and 504 are what API servers say to a version that
 * they cannot read, or that is newer than all they have, as after etcd was restored from a backup. After what
 * made no sense, nobody knows what was missed.
 */
function cannotBeResumed(error: unknown): boolean {
  return (
    error instanceof GarbledError || (error instanceof ApiError && [410, 400, 504].includes(error.status))
  );
}

/** Whether that is a part of the protocol, and nobody needs to be told. */
export function isExpected(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}

/**
 * How long to wait first: exponential with full jitter, so that those who lost one API server do not meet again at
 * the next, and never less than it asked for. `random` is in [0, 1).
 */
export function delayMs({ failures, expiries }: Progress, ending: Ending, random: number): number {
  const tries = failures || expiries;
  if (tries === 0 || ending.outcome === 'listed') return 0;
  const error = ending.outcome === 'failed' ? ending.error : undefined;
  const askedForMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(tries - 1, 30));
  return Math.min(LONGEST_ASKED_FOR_MS, askedForMs) + random * longest;
}
