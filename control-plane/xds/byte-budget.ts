import type { Limits } from './limits.ts';

/** Beside its characters, a name costs an entry in a map and a string's header. */
export const BYTES_PER_NAME = 40;

/** How many bytes may be taken, by one caller and by all together. */
export interface ByteLimits {
  readonly perCaller: number;
  readonly total: number;
}

/** Whose limit is reached: that of one caller, or that of the process. */
export type Shortage = 'caller' | 'process';

/** A few callers that hold as much as they may must not lock out the others: so small a part of all is left to each. */
const SMALL_SHARE = 1024;

/** Counts the bytes that callers make this process hold; a caller that holds none has no entry. */
export class ByteBudget {
  readonly limits: ByteLimits;
  readonly #of = new Map<string, number>();
  #total = 0;

  constructor(limits: ByteLimits) {
    this.limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  of(caller: string): number {
    return this.#of.get(caller) ?? 0;
  }

  /** Which limit so many bytes more would go over. Callers that hold little have room even if the process has none. */
  shortage(caller: string, bytes: number): Shortage | undefined {
    const held = this.of(caller) + bytes;
    if (held > this.limits.perCaller) return 'caller';
    const isShort = this.#total + bytes > this.limits.total && held > this.limits.total / SMALL_SHARE;
    return isShort ? 'process' : undefined;
  }

  /** Counts so many bytes more, or less, whatever the limits. */
  add(caller: string, bytes: number): void {
    this.#total += bytes;
    const held = this.of(caller) + bytes;
    if (held > 0) this.#of.set(caller, held);
    else this.#of.delete(caller);
  }
}

/** For what streams make this process hold. */
export function heldBudget({ heldBytes: total, heldBytesPerCaller: perCaller }: Limits): ByteBudget {
  return new ByteBudget({ perCaller, total });
}

/** For responses that connections have not taken. */
export function unsentBudget({ unsentBytes: total, unsentBytesPerCaller: perCaller }: Limits): ByteBudget {
  return new ByteBudget({ perCaller, total });
}

/** What one stream holds of a budget, by what it is for. */
export class HeldBytes<Use extends string> {
  readonly #budget: ByteBudget;
  readonly #caller: string;
  readonly #uses = new Map<Use, number>();

  constructor(budget: ByteBudget, caller: string) {
    this.#budget = budget;
    this.#caller = caller;
  }

  /** From now on this use holds so many bytes. Changes nothing where a limit is in the way, which is returned. */
  set(use: Use, bytes: number): Shortage | undefined {
    const more = bytes - (this.#uses.get(use) ?? 0);
    const shortage = more > 0 ? this.#budget.shortage(this.#caller, more) : undefined;
    if (shortage !== undefined) return shortage;
    this.#budget.add(this.#caller, more);
    this.#uses.set(use, bytes);
    return undefined;
  }

  release(): void {
    for (const bytes of this.#uses.values()) this.#budget.add(this.#caller, -bytes);
    this.#uses.clear();
  }
}
