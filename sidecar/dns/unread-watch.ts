import type { Socket } from 'node:net';

/** Tells of a client that reads nothing of what it is sent. */
export class UnreadWatch {
  readonly #socket: Socket;
  readonly #ms: number;
  readonly #unread: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms how long it may read nothing */
  constructor(socket: Socket, ms: number, unread: () => void) {
    this.#socket = socket;
    this.#ms = ms;
    this.#unread = unread;
  }

  get isWaiting(): boolean {
    return this.#timer !== undefined;
  }

  /** Begins where something lies unread, and ends where nothing does. */
  look(): void {
    if (this.#socket.writableLength === 0) this.stop();
    else if (!this.isWaiting) this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(): void {
    const taken = takenBytes(this.#socket);
    // After a standstill of ours what the client has read meanwhile is told only once timers have run.
    this.#timer = setTimeout(() => setImmediate(() => this.#compare(taken)), this.#ms);
  }

  #compare(taken: number): void {
    // All was read meanwhile, or it is closed.
    if (!this.isWaiting) return;
    this.stop();
    if (takenBytes(this.#socket) === taken) this.#unread();
    else this.look();
  }
}

/**
 * Of what was written, what the kernel has taken, which it does as the client reads. The callbacks of `write` tell so
 * only of all that was handed over together, however long that took. Node's own timeouts look here as well.
 */
function takenBytes(socket: Socket): number {
  const { _handle } = socket as unknown as { readonly _handle: Handle | null };
  return _handle === null ? 0 : _handle.bytesWritten - _handle.writeQueueSize;
}

interface Handle {
  /** With those that the kernel has not taken. */
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}
