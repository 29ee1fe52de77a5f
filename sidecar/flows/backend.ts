import type { EndpointLoad } from '../balance/load.ts';
import type { DatagramSocket } from '../datagram/socket.ts';

/** Where a flow's datagrams go, and what they go through. */
export class Backend {
  /** `address:port`, IPv6 in brackets. */
  readonly id: string;
  readonly socket: DatagramSocket;
  readonly #load: EndpointLoad | undefined;
  readonly #sinceMs = performance.now();
  /** Something came back: it is there. */
  #hasAnswered = false;
  #droppedCount = 0;

  /** `load` undefined: nobody chose it. */
  constructor(id: string, socket: DatagramSocket, load: EndpointLoad | undefined) {
    this.id = id;
    this.socket = socket;
    this.#load = load;
    load?.connectStarted();
  }

  answered(nowMs: number): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.#load?.connectSucceeded(nowMs - this.#sinceMs, nowMs);
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
    if (this.#hasAnswered) {
      if (why === 'refused') this.#load?.closedAsGone(nowMs);
      else this.#load?.closed();
    } else if (why === 'refused') this.#load?.connectFailed(nowMs - this.#sinceMs, nowMs);
    else this.#load?.connectAbandoned();
  }
}
