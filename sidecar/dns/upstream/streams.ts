import { connect } from 'node:net';
import type { SocketAddress } from '../../forward/socket-address.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';

/** How long a server may take to accept, and how long it may be silent. */
const SILENT_MS = 5_000;

export interface StreamReceiver {
  /** One whole message; called for each. */
  message(bytes: Uint8Array): void;
  /** Nothing follows. */
  ended(): void;
}

/** Asks one question by TCP, on a connection of its own. Returns how to end that. */
export function askByStream(
  { address, port }: SocketAddress,
  query: Uint8Array,
  receiver: StreamReceiver,
): () => void {
  const splitter = new MessageSplitter();
  const socket = connect({ host: address, port, noDelay: true, timeout: SILENT_MS });
  socket.on('connect', () => socket.write(withLength(query)));
  socket.on('data', (chunk: Buffer) => {
    splitter.add(chunk);
    for (let next = splitter.next(); next !== undefined; next = splitter.next()) receiver.message(next);
  });
  socket.on('timeout', () => socket.destroy());
  socket.on('end', () => socket.destroy());
  // What went wrong is told by its end.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => receiver.ended());
  return () => socket.destroy();
}
