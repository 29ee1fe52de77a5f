import { createServer, type Server } from 'node:https';
import { limitConnections } from '../process/connection-limit.ts';
import { inTurn } from '../process/turns.ts';
import type { Handler } from './app.ts';

/**
 * Connections that are kept alive: an API server's client lets go of an idle one after 90 s, and we must not do
 * so first, since a review that is under way to us then would fail.
 */
const KEEP_ALIVE_MS = 120_000;

const HEADERS_MS = 5_000;
/** For a request with its body; an API server waits for an answer for 30 s at most. */
const REQUEST_MS = 10_000;

/** Whoever does not take an answer holds no connection for longer; those that are kept alive are not meant. */
const SILENCE_MS = 15_000;

/**
 * An API server has as many as it makes pods at once, 200 by default; several may share an address, behind a
 * konnectivity agent or a translator.
 */
const CONNECTIONS = { total: 1_024, perAddress: 256 };

/** The webhook's HTTPS server. Until it has a certificate (setSecureContext), handshakes with it fail. */
export function createWebhookServer(handler: Handler): Server {
  const server = createServer(
    {
      minVersion: 'TLSv1.2',
      handshakeTimeout: HEADERS_MS,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
    },
    inTurn(handler),
  );
  server.timeout = SILENCE_MS;
  limitConnections(server, CONNECTIONS);
  return server;
}

const LOOK_AGAIN_MS = 100;

/** Resolves once all requests under way have been answered; idle connections end at once. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // One whose handshake was under way when the server closed is idle only afterwards.
    const idle = setInterval(() => server.closeIdleConnections(), LOOK_AGAIN_MS);
    server.close(() => {
      clearInterval(idle);
      resolve();
    });
  });
}
