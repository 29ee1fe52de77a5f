import type { Fields, Logger } from '../../process/log.ts';

/** Warnings with one message and reason come no faster than this; what was left out is counted in the next. */
const BETWEEN_WARNINGS_MS = 10_000;

/** Something to be said. */
export interface Warning {
  readonly message: string;
  readonly reason: string;
  readonly fields: Fields;
}

/** Says what is wrong with one subject without flooding the log: a failing Service fails every connection. */
export class Warnings {
  readonly #said = new Map<string, { atMs: number; unsaid: number }>();

  /** `reason` is one of few words: what has the same message and another reason is counted on its own. */
  say(log: Logger, { message, reason, fields }: Warning): void {
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
