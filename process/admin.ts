import type * as Http from 'node:http';
import { createRequire } from 'node:module';
import type { Registry } from 'prom-client';
import { listen } from './listen.ts';
import { isLevel, LEVELS, type LogLevel } from './log.ts';
import type { Readiness } from './readiness.ts';

/**
 * An `import` of node:http reads all that it exports, its WebSocket too, which loads an HTTP client that
 * takes 6 MB for as long as the process runs. `require` reads what is asked for.
 */
const { createServer } = createRequire(import.meta.url)('node:http') as typeof Http;

export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers one method of one path, e.g. `GET /config`. */
export type AdminRoute = (url: URL) => AdminAnswer | Promise<AdminAnswer>;

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly level: LogLevel;
  /** Keyed `METHOD /path`. */
  readonly routes?: Readonly<Record<string, AdminRoute>>;
}

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

export function text(status: number, body: string): AdminAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

export function json(value: unknown): AdminAnswer {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/**
 * The page on which a program tells about itself: /healthz, /readyz, /metrics, /log-level and what the
 * program adds. Rejects with a StartupError when it cannot listen.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const routes = new Map(Object.entries({ ...standardRoutes(options), ...options.routes }));
  const server = createServer((request, response) => {
    void answer(routes, request).then((reply) => send(response, request, reply));
  });
  server.maxConnections = 128;
  server.requestTimeout = 10_000;
  const port = await listen(server, 'the admin page', options.host, options.port);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function standardRoutes({ readiness, registry, level }: AdminOptions): Record<string, AdminRoute> {
  return {
    'GET /healthz': () => text(200, 'ok'),
    'GET /readyz': () =>
      readiness.isReady ? text(200, 'ready') : text(503, `not ready: ${readiness.reasons.join('; ')}`),
    'GET /metrics': async () => ({
      status: 200,
      contentType: registry.contentType,
      body: await registry.metrics(),
    }),
    'GET /log-level': () => text(200, level.current),
    'PUT /log-level': (url) => setLevel(level, url.searchParams.get('level') ?? ''),
  };
}

function setLevel(level: LogLevel, wanted: string): AdminAnswer {
  if (!isLevel(wanted)) return text(400, `level is "${wanted}": use ?level= with ${LEVELS.join(', ')}`);
  level.current = wanted;
  return text(200, wanted);
}

async function answer(
  routes: ReadonlyMap<string, AdminRoute>,
  request: Http.IncomingMessage,
): Promise<AdminAnswer> {
  try {
    const url = new URL(request.url ?? '/', 'http://admin');
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const route = routes.get(`${method} ${url.pathname}`);
    return route
      ? await route(url)
      : text(404, `nothing at ${method} ${url.pathname}; there is ${[...routes.keys()].join(', ')}`);
  } catch (error) {
    return text(500, error instanceof Error ? error.message : String(error));
  }
}

function send(
  response: Http.ServerResponse,
  request: Http.IncomingMessage,
  { status, contentType, body }: AdminAnswer,
): void {
  request.resume();
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(request.method === 'HEAD' ? undefined : body);
}
