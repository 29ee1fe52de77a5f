import { type CopyResources, Direction, type DirectionOwner } from './direction.ts';
import type { TrafficDirection } from './origin.ts';
import type { KeepAlive, TcpStream } from './tcp.ts';

/** A connection that has been quiet for this long gives back grown buffers. */
const KEPT_BUFFERS_MS = 5_000;

/** What goes over one connection from when an endpoint has answered: both directions, and for how long they rest. */
export class Exchange {
  readonly sending: Direction;
  readonly receiving: Direction;
  readonly #client: TcpStream;
  readonly #backend: TcpStream;
  #quietSinceMs = 0;
  #isKeptAlive = false;

  constructor(client: TcpStream, backend: TcpStream, resources: CopyResources, owner: DirectionOwner) {
    this.#client = client;
    this.#backend = backend;
    this.sending = new Direction(client, backend, resources, owner);
    this.receiving = new Direction(backend, client, resources, owner);
  }

  start(nowMs: number): void {
    this.#quietSinceMs = nowMs;
    this.sending.start();
    this.receiving.start();
  }

  /** Whether the workload has sent all that it had to send. */
  hasWorkloadEnded(direction: TrafficDirection): boolean {
    return direction === 'outbound' ? this.sending.hasEnded : this.receiving.hasEnded;
  }

  /** For how long nothing has moved, as seen by whoever asks now and then. Gives back what it does not need then. */
  quietMs(nowMs: number): number {
    if (this.sending.hasMoved || this.receiving.hasMoved) {
      this.sending.hasMoved = this.receiving.hasMoved = false;
      this.#quietSinceMs = nowMs;
      return 0;
    }
    const quietMs = nowMs - this.#quietSinceMs;
    if (quietMs >= KEPT_BUFFERS_MS) {
      this.sending.giveBack();
      this.receiving.giveBack();
    }
    return quietMs;
  }

  /** For good. Asked of connections that rest: most are over before, and are spared the system calls. */
  keepAlive(settings: KeepAlive): void {
    if (this.#isKeptAlive) return;
    this.#isKeptAlive = true;
    this.#client.keepAlive(settings);
    this.#backend.keepAlive(settings);
  }

  /** Only once both streams are closed: until then a write may be reading the buffers. */
  release(): void {
    this.sending.release();
    this.receiving.release();
  }
}
