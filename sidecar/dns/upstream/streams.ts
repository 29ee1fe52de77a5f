import { connect } from 'node:net';
import type { SocketAddress } from '../../forward/socket-address.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';

export interface StreamReceiver {
  /** One whole message; called for each. */
  message(bytes: Uint8Array): void;
  /** Nothing follows. */
  ended(): void;
}

/** Ends a connection; may be called again. */
export type EndStream = () => void;

/** Asks one question by TCP, on a connection of its own, which is left open until that is ended or the server ends it. */
export function askByStream(
  { address, port }: SocketAddress,
  query: Uint8Array,
  receiver: StreamReceiver,
): EndStream {
  const splitter = new MessageSplitter();
  const socket = connect({ host: address, port, noDelay: true });
  socket.on('connect', () => socket.write(withLength(query)));
  socket.on('data', (chunk: Buffer) => {
    splitter.add(chunk);
    for (let next = splitter.next(); next !== undefined && !socket.destroyed; next = splitter.next()) {
      receiver.message(next);
    }
  });
  socket.on('end', () => socket.destroy());
  // What went wrong is told by its end.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => receiver.ended());
  return () => socket.destroy();
}
