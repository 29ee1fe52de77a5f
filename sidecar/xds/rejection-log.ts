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
  #recent: readonly PastRejection[] = [];
  #total = 0;
  #minuteSinceMs = -Infinity;
  #lines = 0;
  #untold = 0;

  constructor(log: Logger) {
    this.#log = log;
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
    this.#log.warn('rejected a resource; what was known of it stays in use', {
      resource,
      reason,
      untoldBefore: this.#untold === 0 ? undefined : this.#untold,
    });
    this.#untold = 0;
  }
}
