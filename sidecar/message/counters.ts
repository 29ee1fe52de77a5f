import { ConnectTimes } from '../forward/counters.ts';
import { OUTCOMES, type Outcome } from './answer.ts';

/** Plain numbers: what the way of every message may afford. */
export class MessageCounters {
  readonly outcomes = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  /** From when a message was read until it was known what became of it. */
  readonly times = new ConnectTimes();
  /** Passed on to other sidecars, be it in vain. */
  forwarded = 0;
  /** Attempts at another sidecar, after one that did not take the message. */
  retries = 0;
  connections = 0;
}
