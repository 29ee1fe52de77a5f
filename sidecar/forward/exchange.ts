import { type CopyResources, Direction, type DirectionOwner } from './direction.ts';
import type { Limits } from './limits.ts';
import type { Origin } from './origin.ts';
import { afterRest } from './rest.ts';
import type { KeepAlive, TcpStream } from '../net/tcp.ts';

/** A connection that has been quiet for this long gives back grown buffers. */
const KEPT_BUFFERS_MS = 5_000;

/** Which side of a connection was gone first, and the name of the errno that told. */
export interface Breakage {
  readonly side: 'client' | 'backend';
  readonly code: string;
}

/** What goes over one connection from when an endpoint has answered: both directions, and for how long they rest. */
export class Exchange {
  readonly sending: Direction;
  readonly receiving: Direction;
  /** Set while what a side sent before it was gone is still being passed on. */
  breakage: Breakage | undefined;
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

  /** What follows from the end of this direction's source: the connection is over. */
  sourceFailed(direction: Direction, code: string): Breakage {
    return this.breakage ?? { side: direction === this.sending ? 'client' : 'backend', code };
  }

  /**
   * What follows from the end of this direction's sink; undefined where it may have said something yet that is to be
   * passed on: a server that answers early, and closes.
   */
  sinkFailed(direction: Direction, code: string): Breakage | undefined {
    const isSending = direction === this.sending;
    const isOver = this.breakage !== undefined || (isSending ? this.receiving : this.sending).hasEnded;
    this.breakage ??= { side: isSending ? 'backend' : 'client', code };
    return isOver ? this.breakage : undefined;
  }

  /** What is to be done about its rest, by whoever asks now and then. */
  due(
    nowMs: number,
    { direction, isIntercepted }: Origin,
    { isDraining, limits }: { readonly isDraining: boolean; readonly limits: Limits },
  ): ReturnType<typeof afterRest> {
    const fromWorkload = direction === 'outbound' ? this.sending : this.receiving;
    return afterRest({
      quietMs: this.#quietMs(nowMs),
      isIntercepted,
      isLeftBehind: isDraining && fromWorkload.hasEnded,
      isBroken: this.breakage !== undefined,
      idleTimeoutMs: limits.idleTimeoutMs,
    });
  }

  /** For how long nothing has moved. Gives back what it does not need then. */
  #quietMs(nowMs: number): number {
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
