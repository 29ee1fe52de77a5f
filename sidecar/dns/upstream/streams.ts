import { connect } from 'node:net';
import type { SocketAddress } from '../../forward/socket-address.ts';
import type { Asker } from '../asker.ts';
import { MessageSplitter, withLength } from '../message-splitter.ts';
import { answers } from './match.ts';

/** How long a server may take to accept, and for each message: bytes one by one don't count. */
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
  const socket = connect({ host: address, port, noDelay: true });
  const timer = setTimeout(() => socket.destroy(), SILENT_MS);
  socket.on('connect', () => socket.write(withLength(query)));
  socket.on('data', (chunk: Buffer) => {
    splitter.add(chunk);
    for (let next = splitter.next(); next !== undefined && !socket.destroyed; next = splitter.next()) {
      timer.refresh();
      receiver.message(next);
    }
  });
  socket.on('end', () => socket.destroy());
  // What went wrong is told by its end.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    receiver.ended();
  });
  return () => socket.destroy();
}

/** Whether this is an answer; of a zone's messages only the first has to repeat the question (RFC 5936, 2.2.1). */
export function isAnswerTo({ query, isQuestion }: Asker, message: Uint8Array, isFirst: boolean): boolean {
  const hasQuestion = isQuestion && isFirst;
  const questionEnd = hasQuestion ? query.questionEnd - query.start : 0;
  return answers(message, { bytes: query.data.subarray(query.start, query.end), questionEnd });
}
