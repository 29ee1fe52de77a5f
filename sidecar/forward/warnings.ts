import type { Fields, Logger } from '../../process/log.ts';

/** Warnings about one subject come no faster than this; what was left out is counted in the next. */
const BETWEEN_WARNINGS_MS = 10_000;

/** Says what is wrong with one subject without flooding the log: a failing Service fails every connection. */
export class Warnings {
  readonly #saidAtMs = new Map<string, number>();
  #unsaid = 0;

  say(log: Logger, message: string, fields: Fields): void {
    const nowMs = performance.now();
    if (nowMs - (this.#saidAtMs.get(message) ?? Number.NEGATIVE_INFINITY) < BETWEEN_WARNINGS_MS) {
      this.#unsaid++;
      return;
    }
    this.#saidAtMs.set(message, nowMs);
    log.warn(message, this.#unsaid > 0 ? { ...fields, leftOut: this.#unsaid } : fields);
    this.#unsaid = 0;
  }
}
