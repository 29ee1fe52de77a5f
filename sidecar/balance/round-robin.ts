import { type Contender, type PickRequest, isFirstChoice } from './contender.ts';
import type { Picker, Random } from './picker.ts';

/** Each in turn, from a random start: otherwise every sidecar would begin with the same endpoint. */
export class RoundRobinPicker implements Picker {
  readonly #contenders: readonly Contender[];
  #next: number;

  constructor(contenders: readonly Contender[], random: Random) {
    this.#contenders = contenders;
    this.#next = Math.floor(random() * contenders.length);
  }

  pick(request: PickRequest, nowMs: number): Contender | undefined {
    let lastResort: Contender | undefined;
    for (let tried = 0; tried < this.#contenders.length; tried++) {
      const contender = this.#contenders[this.#next];
      this.#next = (this.#next + 1) % this.#contenders.length;
      if (contender === undefined) return undefined;
      if (isFirstChoice(contender, request, nowMs)) return contender;
      if (!request.exclude.has(contender.candidate.id)) lastResort ??= contender;
    }
    return lastResort;
  }
}
