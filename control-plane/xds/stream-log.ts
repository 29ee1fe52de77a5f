import type { Logger } from '../../process/log.ts';
import { excerpt } from './excerpt.ts';
import type { Content } from './target.ts';

/** Of lines of one kind about one type, a stream writes one in this many milliseconds. */
const QUIET_MS = 10_000;

/** What one stream has to say, at a rate that its client does not decide. */
export class StreamLog {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #lines = new Map<string, { readonly at: number; leftOut: number }>();

  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  rejected(who: () => object, { type, nonce, reason }: Record<'type' | 'nonce' | 'reason', string>): void {
    this.#warn('a client rejected resources', type, () => ({ ...who(), nonce, reason: excerpt(reason) }));
  }

  oversized(type: string, { upserts }: Content, bytes: number): void {
    const resources = (): string[] => upserts.slice(0, 3).map(({ name }) => name);
    this.#warn('a response is larger than clients can be expected to receive', type, () => ({
      bytes,
      resources: resources(),
    }));
  }

  #warn(message: string, type: string, fields: () => object): void {
    const key = `${message}: ${type}`;
    const last = this.#lines.get(key);
    const at = this.#now();
    if (last !== undefined && at - last.at < QUIET_MS) {
      last.leftOut += 1;
      return;
    }
    this.#lines.set(key, { at, leftOut: 0 });
    const leftOut = last === undefined || last.leftOut === 0 ? {} : { leftOut: last.leftOut };
    this.#logger.warn(message, { ...fields(), type, ...leftOut });
  }
}
