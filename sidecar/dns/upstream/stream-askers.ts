import type { Asker } from '../asker.ts';
import type { StreamFlight } from './stream-flight.ts';

/** Who waits for answers by TCP, and for which. */
export class StreamAskers {
  /** Of each source the one that has been without an answer for longest comes first. */
  readonly #bySource = new Map<Asker['source'], Map<Asker, StreamFlight>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  of(source: Asker['source']): readonly (readonly [Asker, StreamFlight])[] {
    return [...(this.#bySource.get(source) ?? [])];
  }

  add(asker: Asker, flight: StreamFlight): void {
    const others = this.#bySource.get(asker.source);
    if (others === undefined) this.#bySource.set(asker.source, new Map([[asker, flight]]));
    else others.set(asker, flight);
    flight.askers.add(asker);
    this.#count++;
  }

  remove(asker: Asker, flight: StreamFlight): void {
    const others = this.#bySource.get(asker.source);
    if (others?.delete(asker) !== true) return;
    if (others.size === 0) this.#bySource.delete(asker.source);
    flight.askers.delete(asker);
    this.#count--;
  }

  /**
   * Of whoever has most here, so that nobody takes from those who ask for less: what fewest others wait for as well,
   * and of those the oldest.
   */
  leastOfMost(): readonly [Asker, StreamFlight] | undefined {
    let most: ReadonlyMap<Asker, StreamFlight> = new Map();
    for (const each of this.#bySource.values()) if (each.size > most.size) most = each;
    let least: readonly [Asker, StreamFlight] | undefined;
    for (const each of most) if (each[1].askers.size < (least?.[1].askers.size ?? Infinity)) least = each;
    return least;
  }
}
