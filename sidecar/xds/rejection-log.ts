import type { Logger } from '../../process/log.ts';
import type { Rejection } from './rejection.ts';

export interface PastRejection extends Rejection {
  /** In milliseconds since the epoch. */
  readonly atMs: number;
}

const RECENT = 20;
const LINES_A_MINUTE = 20;
const MINUTE_MS = 60_000;

/** Remembers what was rejected, and tells of it without flooding the log. */
export class RejectionLog {
  readonly #log: Logger;
  readonly #holds: (resource: string) => boolean;
  #recent: readonly PastRejection[] = [];
  #total = 0;
  #minuteSinceMs = -Infinity;
  #lines = 0;
  #untold = 0;

  /** `holds` answers whether there is an earlier state of a resource, which stays in use. */
  constructor(log: Logger, holds: (resource: string) => boolean) {
    this.#log = log;
    this.#holds = holds;
  }

  /** The last ones, oldest first. */
  get recent(): readonly PastRejection[] {
    return this.#recent;
  }

  get total(): number {
    return this.#total;
  }

  add(rejections: readonly Rejection[], atMs: number): void {
    this.#total += rejections.length;
    const last = rejections.slice(-RECENT).map(({ name, reason }) => ({ name, reason, atMs }));
    this.#recent = [...this.#recent, ...last].slice(-RECENT);
    this.#untold += rejections.length - last.length;
    for (const { name, reason } of last) {
      this.#tell(name, reason, atMs);
    }
  }

  #tell(resource: string, reason: string, atMs: number): void {
    if (Math.abs(atMs - this.#minuteSinceMs) >= MINUTE_MS) {
      this.#minuteSinceMs = atMs;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_A_MINUTE) {
      this.#untold += 1;
      return;
    }
    this.#lines += 1;
    const known = this.#holds(resource) ? '; its last good state stays in use' : '';
    this.#log.warn(`Rejected a resource${known}`, {
      resource,
      reason,
      untoldBefore: this.#untold === 0 ? undefined : this.#untold,
    });
    this.#untold = 0;
  }
}
