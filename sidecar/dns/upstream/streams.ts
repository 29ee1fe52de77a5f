import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../net/socket-address.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';

export interface StreamReceiver {
  /** Called for each message that the server sends, until the receiver ends the stream. */
  message(message: Uint8Array): void;
  /** The server ended the connection. */
  failed(): void;
}

/** One question by TCP, on a connection of its own. */
export class ServerStream {
  readonly #socket: Socket;
  readonly #splitter = new MessageSplitter();
  #isEnded = false;

  constructor({ address, port }: SocketAddress, query: Uint8Array, receiver: StreamReceiver) {
    const socket = connect({ host: address, port, noDelay: true });
    this.#socket = socket;
    socket.on('connect', () => socket.write(withLength(query)));
    socket.on('data', (chunk: Buffer) => {
      this.#splitter.add(chunk);
      let message: Uint8Array | undefined;
      while (!this.#isEnded && (message = this.#splitter.next()) !== undefined) receiver.message(message);
    });
    socket.on('end', () => socket.destroy());
    // The `close` that follows says that it failed.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (!this.#isEnded) receiver.failed();
    });
  }

  /** May be called again. */
  end(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }
}
