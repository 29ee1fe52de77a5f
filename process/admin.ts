import type * as Http from 'node:http';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import type { Registry } from 'prom-client';
import { surviveAcceptErrors } from './accept-errors.ts';
import { limitConnections } from './connection-limit.ts';
import { listen } from './listen.ts';
import { isLevel, LEVELS, type Logger, type LogLevel } from './log.ts';
import { isFromHere } from './peer.ts';
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
  /** Hears of connections that could not be accepted. */
  readonly logger?: Logger;
  /**
   * Keyed `METHOD /path`. Answered to this machine alone, as everything is that changes something: to somebody there,
   * or in the pod, `kubectl port-forward` included.
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

export function json(value: unknown): AdminAnswer {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** A kubelet's probe and a Prometheus need one each. */
const CONNECTIONS = { total: 128, perAddress: 32 };
/** In milliseconds. */
const TIMES = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 };
/** Whoever does not take an answer holds no connection for longer. */
const SILENCE_MS = 10_000;

/**
 * The page on which a program tells about itself: /healthz, /readyz, /metrics, /log-level and what the
 * program adds. Rejects with a StartupError when it cannot listen.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const routes = new Map(Object.entries({ ...standardRoutes(options), ...options.localRoutes }));
  const server = createServer(TIMES, (request, response) => {
    void answer(routes, options, request).then((reply) => send(response, request, reply));
  });
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
  { host, localRoutes = {} }: AdminOptions,
  request: Http.IncomingMessage,
): Promise<AdminAnswer> {
  const { url: path = '', method: asked = 'GET' } = request;
  if (!/^\/(?!\/)/.test(path)) return text(400, 'the path of a request begins with one slash');
  const url = new URL(`http://admin${path}`);
  const method = asked === 'HEAD' ? 'GET' : asked;
  const name = `${method} ${url.pathname}`;
  const route = routes.get(name);
  const refused = refusal(request, host) ?? strange(request, method !== 'GET' || name in localRoutes);
  const unknown = `nothing at ${name}; there is ${[...routes.keys()].join(', ')}`;
  return refused ?? (route === undefined ? text(404, unknown) : perform(route, url));
}

async function perform(route: AdminRoute, url: URL): Promise<AdminAnswer> {
  try {
    return await route(url);
  } catch (error) {
    return text(500, error instanceof Error ? error.message : String(error));
  }
}

/**
 * A page in somebody's browser can send requests here, and read the answers if it makes its own name resolve to
 * this address (DNS rebinding): it cannot hide that name, nor, when it changes something, where it comes from.
 * What listens on all addresses is meant to be read by everybody, under whatever name, a Service's for instance.
 */
function refusal({ method, headers }: Http.IncomingMessage, boundHost: string): AdminAnswer | undefined {
  const host = hostOf(headers.host ?? '');
  const changes = method !== 'GET' && method !== 'HEAD';
  const isOpen = !changes && isWildcard(boundHost);
  if (!isOpen && host !== boundHost && host !== 'localhost' && isIP(host) === 0) {
    return text(
      421,
      `this page is not ${host}: ask for it by IP address, localhost or the host it listens on`,
    );
  }
  return changes && headers.origin !== undefined
    ? text(403, 'web pages may not change anything here: leave out the Origin header')
    : undefined;
}

/** Strangers may read what is cheap to tell; the rest is for whoever may be on this machine. */
function strange({ socket }: Http.IncomingMessage, isForLocals: boolean): AdminAnswer | undefined {
  return isForLocals && !isFromHere(socket)
    ? text(403, 'this is answered to the machine or pod itself: use kubectl port-forward, and ask localhost')
    : undefined;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** The host of a Host header, without port and brackets. */
function hostOf(header: string): string {
  return header.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
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
