import { BYTES_PER_NAME, HeldBytes } from './byte-budget.ts';
import type { ByteBudget, Shortage } from './byte-budget.ts';
import { overBudget, overLimit } from './limits.ts';
import type { CountedLimit, Limits } from './limits.ts';
import type { TypeSession } from './type-session.ts';

/** What a stream makes this process hold: the same words that its client is refused with. */
export type HeldUse = 'node' | 'request' | 'claims' | 'names' | 'unacknowledged';

const BYTES_PER_TYPE = 1024;
/** A type that is not served has a server of its own for as long as a stream asks for it. */
const BYTES_PER_INVENTED_TYPE = 8192;

/** What counting needs of the engine. */
export interface CostHost {
  readonly limits: Limits;
  readonly held: ByteBudget;
  readonly short: (shortage: Shortage) => void;
}

/**
 * Counts what one stream may cost. Each check returns the sentence that the client is refused with, or undefined
 * where all is within the limits.
 */
export class StreamCosts {
  readonly #limits: Limits;
  readonly #held: HeldBytes<HeldUse>;
  readonly #short: (shortage: Shortage) => void;
  #claims = 0;

  /** `short` is called for each refusal because of bytes. */
  constructor({ limits, held, short }: CostHost, caller: string) {
    this.#limits = limits;
    this.#short = short;
    this.#held = new HeldBytes(held, caller);
  }

  hold(use: HeldUse, bytes: number): string | undefined {
    const shortage = this.#held.set(use, bytes);
    if (shortage === undefined) return undefined;
    this.#short(shortage);
    return overBudget(shortage, this.#limits);
  }

  claim(count: number): string | undefined {
    this.#claims += count;
    return this.within('claims', this.#claims);
  }

  within(limit: CountedLimit, value: number): string | undefined {
    const allowed = this.#limits[limit];
    return value <= allowed ? undefined : overLimit(limit, value, allowed);
  }

  subscribed(sessions: readonly TypeSession[]): string | undefined {
    let names = 0;
    let bytes = 0;
    let types = 0;
    for (const { subscription, target } of sessions) {
      names += subscription.names.size;
      bytes += subscription.nameLength;
      types += target.set.size > 0 ? BYTES_PER_TYPE : BYTES_PER_INVENTED_TYPE;
    }
    return (
      this.within('types', sessions.length) ??
      this.within('subscriptions', names) ??
      this.within('subscriptionBytes', bytes) ??
      this.hold('names', bytes + names * BYTES_PER_NAME + types)
    );
  }

  unacknowledged(sessions: readonly TypeSession[]): string | undefined {
    let bytes = 0;
    for (const session of sessions) bytes += session.unacknowledgedBytes;
    return this.hold('unacknowledged', bytes);
  }

  release(): void {
    this.#held.release();
  }
}
