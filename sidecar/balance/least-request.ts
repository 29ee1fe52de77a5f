import { type Contender, type PickRequest, eligible } from './contender.ts';
import type { Picker, Random } from './picker.ts';

/** The endpoint with the fewest open connections; equals share by chance. */
export class LeastRequestPicker implements Picker {
  readonly #contenders: readonly Contender[];
  readonly #random: Random;

  constructor(contenders: readonly Contender[], random: Random) {
    this.#contenders = contenders;
    this.#random = random;
  }

  pick(request: PickRequest, nowMs: number): Contender | undefined {
    const contenders = eligible(this.#contenders, request, nowMs);
    const fewest = contenders.reduce((least, { load }) => Math.min(least, load.active), Infinity);
    const equals = contenders.filter(({ load }) => load.active === fewest);
    return equals[Math.floor(this.#random() * equals.length)];
  }
}
