import type { Contender, PickRequest } from './contender.ts';

/**
 * Chooses among the candidates of one endpoint group. Immutable: a changed group gets a new picker, while the
 * loads that pickers read live on in the load book.
 */
export interface Picker {
  /**
   * One that is not excluded, rather one that has not failed of late; undefined once all are excluded.
   * `nowMs` is a monotonic clock.
   */
  pick(request: PickRequest, nowMs: number): Contender | undefined;
}

/** Uniform in [0, 1), as `Math.random`. */
export type Random = () => number;
