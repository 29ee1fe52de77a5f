import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Prometheus, kubelets, API servers and browsers send the next request after the answer; some tools do before. */
const MOST_WAITING = 8;

type Exchange = readonly [IncomingMessage, ServerResponse];

/**
 * Hands over one request of a connection at a time: the next one once the answer before it is sent. Node parses all
 * that a client has pipelined, thousands of requests in one segment, and would have all of them performed at once. A
 * client that pipelines more than a few loses its connection.
 */
export function inTurn(handle: RequestListener): RequestListener {
  const waitingOn = new WeakMap<Socket, Exchange[]>();
  const perform = ([request, response]: Exchange): void => {
    const { socket } = request;
    response.once('close', () => {
      // An answer with `Connection: close` has ended the socket's writing: nothing after it can be answered.
      const next = socket.destroyed || socket.writableEnded ? undefined : waitingOn.get(socket)?.shift();
      if (next === undefined) waitingOn.delete(socket);
      else perform(next);
    });
    handle(request, response);
  };
  return (request, response) => {
    const { socket } = request;
    if (socket.destroyed || socket.writableEnded) return;
    const waiting = waitingOn.get(socket);
    if (waiting === undefined) {
      waitingOn.set(socket, []);
      perform([request, response]);
    } else if (waiting.length < MOST_WAITING) waiting.push([request, response]);
    else cutOff(socket);
  };
}

interface ParsedSocket extends Socket {
  readonly parser?: { onIncoming?: unknown } | null;
}

/** What Node's parser takes for a change of protocol: it stops at once. */
const STOP = 2;

/**
 * Destroys the socket, and stops its parser: Node would parse what else of the segment it has read, some 10 ms of
 * work for 64 KiB. The parser of a socket is not documented; the test of this file holds it.
 */
function cutOff(socket: ParsedSocket): void {
  if (socket.parser) socket.parser.onIncoming = () => STOP;
  socket.destroy();
}
