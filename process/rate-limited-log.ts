import type { Fields, Logger } from './log.ts';

/** The shortest time between two warnings with the same message and reason; the next one counts those left out. */
const BETWEEN_WARNINGS_MS = 10_000;

export interface Warning {
  readonly message: string;
  readonly reason: string;
  readonly fields: Fields;
}

/** Warns about one subject without flooding the log: a failing Service fails every connection. */
export class RateLimitedLog {
  readonly #said = new Map<string, { atMs: number; unsaid: number }>();

  /** @param warning whose `reason` is one of few words, since each message and reason is counted by itself */
  warn(log: Logger, { message, reason, fields }: Warning): void {
    const key = `${message} ${reason}`;
    const nowMs = performance.now();
    const said = this.#said.get(key);
    if (said !== undefined && nowMs - said.atMs < BETWEEN_WARNINGS_MS) {
      said.unsaid++;
      return;
    }
    this.#said.set(key, { atMs: nowMs, unsaid: 0 });
    log.warn(message, { ...fields, reason, ...(said?.unsaid ? { leftOut: said.unsaid } : {}) });
  }
}
