import type { EndpointLoad } from '../balance/load.ts';
import type { DatagramSocket } from '../datagram/socket.ts';

/**
 * After so long without an answer or a refusal a flow is taken for one that goes one way only, as logs and metrics do:
 * whether somebody is there is not found out by waiting.
 */
const ONE_WAY_AFTER_MS = 5_000;

/** Where a flow's datagrams go, and what they go through. */
export class Backend {
  /** `address:port`, IPv6 in brackets. */
  readonly id: string;
  readonly socket: DatagramSocket;
  readonly #load: EndpointLoad | undefined;
  readonly #sinceMs = performance.now();
  /** `awaited` until something comes back: it is there. */
  #answer: 'awaited' | 'none' | 'came' = 'awaited';
  #droppedCount = 0;

  /** `load` undefined: nobody chose it. */
  constructor(id: string, socket: DatagramSocket, load: EndpointLoad | undefined) {
    this.id = id;
    this.socket = socket;
    this.#load = load;
    load?.connectStarted();
  }

  answered(nowMs: number): void {
    if (this.#answer === 'awaited') this.#load?.connectSucceeded(nowMs - this.#sinceMs, nowMs);
    this.#answer = 'came';
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    if (this.#answer !== 'awaited' || nowMs - this.#sinceMs < ONE_WAY_AFTER_MS) return;
    this.#answer = 'none';
    this.#load?.connectedUnheard();
  }

  /** How many datagrams could not be sent since this was last asked. */
  takeDropped(): number {
    const { droppedCount } = this.socket;
    const dropped = droppedCount - this.#droppedCount;
    this.#droppedCount = droppedCount;
    return dropped;
  }

  close(why: 'refused' | 'left'): void {
    this.socket.close();
    const nowMs = performance.now();
    if (this.#answer !== 'awaited') {
      if (why === 'refused') this.#load?.closedAsGone(nowMs);
      else this.#load?.closed();
    } else if (why === 'refused') this.#load?.connectFailed(nowMs - this.#sinceMs, nowMs);
    else this.#load?.connectAbandoned();
  }
}
