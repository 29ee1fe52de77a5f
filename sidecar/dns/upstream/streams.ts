import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../forward/socket-address.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';

export interface StreamReceiver {
  /** One whole message; called for each. */
  message(bytes: Uint8Array): void;
  /** Nothing follows. Not called where the receiver ended it. */
  ended(): void;
}

/** One question by TCP, on a connection of its own, which is left open until it is ended or the server ends it. */
export class ServerStream {
  readonly #socket: Socket;
  readonly #receiver: StreamReceiver;
  readonly #splitter = new MessageSplitter();
  #isPaused = false;
  #isClosed = false;
  #isEnded = false;

  constructor({ address, port }: SocketAddress, query: Uint8Array, receiver: StreamReceiver) {
    this.#receiver = receiver;
    const socket = connect({ host: address, port, noDelay: true });
    this.#socket = socket;
    socket.on('connect', () => socket.write(withLength(query)));
    socket.on('data', (chunk: Buffer) => {
      this.#splitter.add(chunk);
      this.#tell();
    });
    socket.on('end', () => socket.destroy());
    // What went wrong is told by its end.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#isClosed = true;
      this.#tell();
    });
  }

  /** Nothing is told any more. May be called again. */
  end(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }

  /** Nothing is told until it is resumed, and the server can send no more than the kernel keeps. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#tell();
    if (!this.#isPaused) this.#socket.resume();
  }

  /** What has come goes before the end, which may come while this is paused. */
  #tell(): void {
    while (!this.#isEnded && !this.#isPaused) {
      const next = this.#splitter.next();
      if (next === undefined) break;
      this.#receiver.message(next);
    }
    if (this.#isClosed && !this.#isEnded && !this.#isPaused) {
      this.#isEnded = true;
      this.#receiver.ended();
    }
  }
}
