import type { SocketAddress } from '../../net/socket-address.ts';
import type { ServerSockets } from './sockets.ts';

/** So many times without an answer, and others are asked first. */
const FAILURES_UNTIL_DOWN = 3;
/** How long it is left alone; then one query finds out whether it is back. */
const DOWN_MS = 1_000;

/** One server that others' names are asked of. */
export class Server {
  readonly address: SocketAddress;
  readonly sockets: ServerSockets;
  /** In a row. */
  #failures = 0;
  #askedAgainMs = 0;

  constructor(address: SocketAddress, sockets: ServerSockets) {
    this.address = address;
    this.sockets = sockets;
  }

  get isDown(): boolean {
    return this.#failures >= FAILURES_UNTIL_DOWN;
  }

  answered(): void {
    this.#failures = 0;
  }

  failed(nowMs: number): void {
    this.#failures++;
    if (this.isDown) this.#askedAgainMs = nowMs + DOWN_MS;
  }

  /** Whether it may be asked now; of one that is down, only once in a while. */
  claim(nowMs: number): boolean {
    if (!this.isDown) return true;
    if (nowMs < this.#askedAgainMs) return false;
    this.#askedAgainMs = nowMs + DOWN_MS;
    return true;
  }
}

/** All servers, in the order in which they are to be asked. */
export class Servers {
  readonly all: readonly Server[];
  /** When any of them answered last, whatever it was. */
  answeredMs = -Infinity;

  constructor(all: readonly Server[]) {
    this.all = all;
  }

  /** Whom to ask, best one that has not been asked yet; undefined where there is no server at all. */
  next(asked: readonly Server[], nowMs: number): Server | undefined {
    const fresh = this.all.filter((server) => !asked.includes(server));
    const up = fresh.find((server) => server.claim(nowMs));
    // Everybody was asked once: round again.
    return (
      up ??
      fresh[0] ??
      this.all.find((server) => server.claim(nowMs)) ??
      this.all[asked.length % (this.all.length || 1)]
    );
  }

  close(): void {
    for (const { sockets } of this.all) sockets.close();
  }
}
