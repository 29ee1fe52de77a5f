import type { Datagrams } from '../datagram/socket.ts';
import type { Range } from '../datagram/message-headers.ts';

/** What a client may send before it is known where to: enough for a handshake, and nothing to fill memory with. */
const MOST_DATAGRAMS = 16;
const MOST_BYTES = 65_536;

/** Datagrams that wait for the endpoints of their Service. */
export class Waiting {
  readonly #datagrams: Uint8Array[] = [];
  #bytes = 0;

  /** Copies these, as far as there is room; returns how many were left out. */
  add(datagrams: Datagrams, { first, end }: Range): number {
    for (let index = first; index < end; index++) {
      const [from, to] = [datagrams.start(index), datagrams.end(index)];
      if (this.#datagrams.length === MOST_DATAGRAMS || this.#bytes + to - from > MOST_BYTES) {
        return end - index;
      }
      this.#bytes += to - from;
      this.#datagrams.push(datagrams.data.slice(from, to));
    }
    return 0;
  }

  get count(): number {
    return this.#datagrams.length;
  }

  /** Empties it. */
  take(): readonly Uint8Array[] {
    this.#bytes = 0;
    return this.#datagrams.splice(0);
  }
}
