import type { EndpointLoad } from '../balance/load.ts';

/** Endpoints of one Service that get a series of their own; the rest is summed up as `other`. */
export const ENDPOINTS_SHOWN = 100;

/** What one series shows. */
export interface EndpointSample {
  /** `address:port`, or `other`. */
  readonly endpoint: string;
  readonly opened: number;
  readonly active: number;
}

/**
 * Which endpoints of one Service have a series of their own. That stays as it is for as long as an endpoint is
 * known, and what was opened to the others is added up as it grows, so that no counter ever goes down because
 * an endpoint has left.
 */
export class EndpointSeries {
  #own = new Set<EndpointLoad>();
  /** Those without, and how many of their connections have been added up. */
  #others = new Map<EndpointLoad, number>();
  #openedToOthers = 0;

  /** Brings the series up to date with all loads that there are. */
  read(loads: Iterable<EndpointLoad>): readonly EndpointSample[] {
    const all = new Set(loads);
    this.#own = this.#own.intersection(all);
    const others = new Map<EndpointLoad, number>();
    for (const load of all) {
      if (this.#own.has(load)) continue;
      const counted = this.#others.get(load);
      if (counted === undefined && this.#own.size < ENDPOINTS_SHOWN) {
        this.#own.add(load);
      } else {
        this.#openedToOthers += load.opened - (counted ?? 0);
        others.set(load, load.opened);
      }
    }
    this.#others = others;
    return this.#samples();
  }

  #samples(): EndpointSample[] {
    const samples = Array.from(this.#own, ({ id, opened, active }) => ({ endpoint: id, opened, active }));
    if (this.#others.size === 0 && this.#openedToOthers === 0) return samples;
    let active = 0;
    for (const load of this.#others.keys()) active += load.active;
    return [...samples, { endpoint: 'other', opened: this.#openedToOthers, active }];
  }
}
