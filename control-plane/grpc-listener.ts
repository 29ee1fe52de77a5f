import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { logVerbosity, type Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { surviveAcceptErrors } from '../process/accept-errors.ts';
import { type ConnectionLimits, Connections } from '../process/connection-limit.ts';
import type { Address } from '../process/environment.ts';
import { listen } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';
import { IncomingMessages } from './incoming-messages.ts';
import type { ByteBudget } from './xds/byte-budget.ts';
import { hostOfAddress } from './xds/caller.ts';
import { DEFAULT_LIMITS } from './xds/limits.ts';

// grpc-js would write lines of its own for what is told here in a sentence.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

export interface GrpcListenerOptions {
  /** For people: "xDS". */
  readonly what: string;
  readonly address: Address;
  readonly connections: Pick<ConnectionLimits, 'total' | 'perAddress'>;
  /** What messages that are incomplete count for. */
  readonly held: ByteBudget;
  readonly logger?: Logger;
}

export interface GrpcListener {
  readonly port: number;
  readonly connections: Connections;
  readonly messages: IncomingMessages;
  /** Ends the connections that are open: those with streams after this long. New ones are taken as before. */
  drain(graceMs: number): void;
  /** Takes no new connections. Those that are open are the server's to end. */
  close(): void;
}

/** Published by Node for each stream that a client opens, before anybody else gets it. */
const STREAM_CREATED = 'http2.server.stream.created';

/**
 * Listens for a gRPC server, with limits that it has none of itself: connections in all and of one address, and
 * messages that are incomplete. Rejects with a StartupError.
 */
export async function listenGrpc(server: Server, options: GrpcListenerOptions): Promise<GrpcListener> {
  const { what, address, held, logger } = options;
  // Many programs of one machine are as many as those of one address elsewhere: loopback is counted, too.
  const connections = new Connections({ ...options.connections, isCounted: () => true });
  const messages = new IncomingMessages({ held, messageMs: DEFAULT_LIMITS.messageMs });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer((socket) => {
    // An error before gRPC has the connection, or after it let go of it.
    socket.on('error', () => socket.destroy());
    if (connections.opened(socket)) injector.injectConnection(socket);
  });
  const onStream = (message: unknown): void => {
    const { stream } = message as { readonly stream: ServerHttp2Stream };
    const connection = connections.of(stream.session?.socket as Socket);
    if (connection === undefined) return;
    connections.began(connection);
    stream.once('close', () => connections.ended(connection));
    messages.watch(stream, hostOfAddress(connection.address));
  };
  const port = await listen(listener, what, address.host, address.port);
  surviveAcceptErrors(listener, what, logger);
  subscribe(STREAM_CREATED, onStream);
  return {
    port,
    connections,
    messages,
    drain: (graceMs) => injector.drain(graceMs),
    close: () => {
      listener.close();
      listener.once('close', () => unsubscribe(STREAM_CREATED, onStream));
    },
  };
}
