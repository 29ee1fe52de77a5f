import type { Datagrams } from '../datagram/socket.ts';
import type { Range } from '../datagram/message-headers.ts';

/** What a client may send before it is known where to: enough for a handshake, and nothing to fill memory with. */
const MOST_DATAGRAMS = 16;
const MOST_BYTES = 65_536;

/** Of all flows together: any number of them can be begun under addresses that are made up. */
const MOST_BYTES_OF_ALL = 4 * 1024 * 1024;

/** What the datagrams of all flows take that wait. */
export interface WaitingRoom {
  bytes: number;
}

/** Datagrams of one flow that wait for the endpoints of their Service. */
export class Waiting {
  readonly #room: WaitingRoom;
  readonly #datagrams: Uint8Array[] = [];
  #bytes = 0;

  constructor(room: WaitingRoom) {
    this.#room = room;
  }

  /** Copies these, as far as there is room; returns how many were left out. */
  add(datagrams: Datagrams, { first, end }: Range): number {
    for (let index = first; index < end; index++) {
      const [from, to] = [datagrams.start(index), datagrams.end(index)];
      if (!this.#hasRoomFor(to - from)) return end - index;
      this.#bytes += to - from;
      this.#room.bytes += to - from;
      this.#datagrams.push(datagrams.data.slice(from, to));
    }
    return 0;
  }

  /** Empties it. */
  take(): readonly Uint8Array[] {
    this.#room.bytes -= this.#bytes;
    this.#bytes = 0;
    return this.#datagrams.splice(0);
  }

  #hasRoomFor(bytes: number): boolean {
    return (
      this.#datagrams.length < MOST_DATAGRAMS &&
      this.#bytes + bytes <= MOST_BYTES &&
      this.#room.bytes + bytes <= MOST_BYTES_OF_ALL
    );
  }
}
