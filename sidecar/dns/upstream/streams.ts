import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../net/socket-address.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';

export interface StreamReceiver {
  /** One whole message; called for each. */
  message(bytes: Uint8Array): void;
  /** Nothing follows. Not called where the receiver ended it. */
  ended(): void;
}

/** One for all: what is read is copied at once. */
const READ_BUFFER = Buffer.alloc(65_536);

/** One question by TCP, on a connection of its own, which is left open until it is ended or the server ends it. */
export class ServerStream {
  readonly #socket: Socket;
  readonly #receiver: StreamReceiver;
  readonly #splitter = new MessageSplitter();
  #isPaused = false;
  #isEnded = false;

  constructor({ address, port }: SocketAddress, query: Uint8Array, receiver: StreamReceiver) {
    this.#receiver = receiver;
    const callback = (length: number, bytes: Uint8Array) => {
      this.#splitter.add(Buffer.from(bytes.subarray(0, length)));
      this.#tell();
      return true;
    };
    // Read so, it stops at once where it is paused. Otherwise Node reads on and keeps that, until a reset, which ends the
    // connection meanwhile, takes it along.
    const onread = { buffer: READ_BUFFER, callback };
    const socket = connect({ host: address, port, noDelay: true, onread });
    this.#socket = socket;
    socket.on('connect', () => socket.write(withLength(query)));
    socket.on('end', () => socket.destroy());
    // What went wrong is told by its end.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (!this.#isEnded) receiver.ended();
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

  #tell(): void {
    while (!this.#isEnded && !this.#isPaused) {
      const next = this.#splitter.next();
      if (next === undefined) return;
      this.#receiver.message(next);
    }
  }
}
