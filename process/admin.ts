import type * as Http from 'node:http';
import { createRequire } from 'node:module';
import type { Registry } from 'prom-client';
import { surviveAcceptErrors } from './accept-errors.ts';
import { limitConnections } from './connection-limit.ts';
import { renderMetrics } from './exposition.ts';
import { listen } from './listen.ts';
import { refuseStranger } from './local-access.ts';
import { isLevel, LEVELS, type Logger, type LogLevel } from './log.ts';
import type { Readiness } from './readiness.ts';
import { shareRendering } from './shared-rendering.ts';
import { inTurn } from './turns.ts';

/**
 * An `import` of node:http reads all that it exports, its WebSocket too, which loads an HTTP client that
 * takes 6 MB for as long as the process runs. `require` reads what is asked for.
 */
const { createServer } = createRequire(import.meta.url)('node:http') as typeof Http;

export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** Answers one method of one path, e.g. `GET /config`. */
export type AdminRoute = (url: URL) => AdminAnswer | Promise<AdminAnswer>;

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly level: LogLevel;
  /** Hears of connections that could not be accepted. */
  readonly logger?: Logger;
  /**
   * Keyed `METHOD /path`. Answered to this machine or pod alone, `kubectl port-forward` included, like all but the
   * pages for kubelets and Prometheus.
   */
  readonly localRoutes?: Readonly<Record<string, AdminRoute>>;
}

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

export function text(status: number, body: string): AdminAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

/**
 * A page that takes work to render: those that ask for it at the same time get the same rendering, and a flood does
 * not hold up what the program is there for.
 */
export function page(render: () => AdminAnswer | Promise<AdminAnswer>): AdminRoute {
  return shareRendering(async () => {
    const { body, ...head } = await render();
    return { ...head, body: Buffer.from(body) };
  });
}

export function json(value: unknown): AdminAnswer {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** A kubelet's probe and a Prometheus need one each. */
const CONNECTIONS = { total: 128, perAddress: 32 };
/** In milliseconds. */
const TIMES = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 };
/** Whoever does not take an answer holds no connection for longer. */
const SILENCE_MS = 10_000;

/** For kubelets and Prometheus, from wherever they come and under whatever name. */
const OPEN_ROUTES: ReadonlySet<string> = new Set(['GET /healthz', 'GET /readyz', 'GET /metrics']);

/**
 * The page on which a program tells about itself: /healthz, /readyz, /metrics, /log-level and what the
 * program adds. Rejects with a StartupError when it cannot listen.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const routes = new Map(Object.entries({ ...standardRoutes(options), ...options.localRoutes }));
  const handle: Http.RequestListener = (request, response) => {
    void answer(routes, options.host, request).then((reply) => send(response, request, reply));
  };
  const server = createServer(TIMES, inTurn(handle));
  server.timeout = SILENCE_MS;
  limitConnections(server, CONNECTIONS);
  const port = await listen(server, 'the admin page', options.host, options.port);
  surviveAcceptErrors(server, 'the admin page', options.logger);
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
      readiness.isReady
        ? text(200, ['ready', ...readiness.remarks].join('\n'))
        : text(503, `not ready: ${readiness.reasons.join('; ')}`),
    'GET /metrics': page(async () => ({
      status: 200,
      contentType: registry.contentType,
      body: await renderMetrics(registry),
    })),
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
  boundHost: string,
  request: Http.IncomingMessage,
): Promise<AdminAnswer> {
  const { url: path = '', method: asked = 'GET' } = request;
  if (!/^\/(?!\/)/.test(path)) return text(400, 'the path of a request begins with one slash');
  const url = new URL(`http://admin${path}`);
  const method = asked === 'HEAD' ? 'GET' : asked;
  const name = `${method} ${url.pathname}`;
  const refusal = OPEN_ROUTES.has(name) ? undefined : refuseStranger(request, boundHost);
  if (refusal !== undefined) return text(refusal.status, refusal.sentence);
  const route = routes.get(name);
  if (route === undefined) return text(404, `nothing at ${name}; there is ${[...routes.keys()].join(', ')}`);
  try {
    return await route(url);
  } catch (error) {
    return text(500, error instanceof Error ? error.message : String(error));
  }
}

function send(
  response: Http.ServerResponse,
  request: Http.IncomingMessage,
  { status, contentType, body }: AdminAnswer,
): void {
  // Nothing here takes a body: one that is still to come is not read to its end.
  if (!request.complete) response.setHeader('connection', 'close');
  request.resume();
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(request.method === 'HEAD' ? undefined : body);
}
