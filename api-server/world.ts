import { schedule } from '../process/schedule.ts';

/** The clock and chance, as arguments. */
export interface World {
  /** Milliseconds from some fixed moment, never going back. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** Runs once after so many milliseconds, unless the returned function is called before. */
  schedule(milliseconds: number, run: () => void): () => void;
}

export const REAL_WORLD: World = { now: () => performance.now(), random: Math.random, schedule };
