import type * as Http from 'node:http';
import type * as Https from 'node:https';
import { createRequire } from 'node:module';
import {
  type ApiRequest,
  type ApiServer,
  type LinesRequest,
  type Query,
  TooMuchError,
} from './api-server.ts';
import { jsonOf, refusalOf } from './answer.ts';
import type { Access, Credentials } from './credentials.ts';
import { LineSplitter } from './line-splitter.ts';

/** Required, not imported: an import reads all of the exports, WebSocket among them, which costs 6 MB. */
const require = createRequire(import.meta.url);
const http = require('node:http') as typeof Http;
const https = require('node:https') as typeof Https;

/** Go's HTTP server closes a connection that was idle for 90 s (k8s.io/apiserver); ours go first. */
const IDLE_MS = 60_000;
const TCP_KEEPALIVE_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** A page of 500 objects of 64 KiB each. One object is never more than 3 MiB. */
const MOST_ANSWER_BYTES = 32 * 1024 * 1024;
const MOST_REFUSAL_BYTES = 1024 * 1024;
/** An event has one object, and the API server takes none above 3 MiB. */
const MOST_LINE_BYTES = 16 * 1024 * 1024;

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/**
 * Speaks HTTP/1.1 over kept-alive connections: each watch has one of its own, so that one which hangs takes no
 * other with it.
 */
export class HttpApiServer implements ApiServer {
  readonly address: string;
  readonly #credentials: Credentials;
  readonly #userAgent: string;
  readonly #base: URL;
  readonly #agent: Http.Agent;
  readonly #closing = new AbortController();

  constructor(credentials: Credentials, userAgent: string) {
    this.#credentials = credentials;
    this.#userAgent = userAgent;
    this.address = credentials.server;
    this.#base = new URL(credentials.server);
    const { Agent } = this.#base.protocol === 'http:' ? http : https;
    // What a connection was made with is part of its name here: a renewed certificate gets new connections.
    this.#agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  }

  async request(request: ApiRequest): Promise<unknown> {
    const { body, timeoutMs = DEFAULT_TIMEOUT_MS, accept = 'application/json' } = request;
    const deadline = new Deadline(timeoutMs, [this.#closing.signal, request.signal]);
    try {
      const response = await this.#send({
        method: request.method,
        path: request.path,
        query: request.query ?? {},
        headers: { accept, ...(body === undefined ? {} : typed(request.contentType)) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: deadline.signal,
      });
      return jsonOf(await bodyOf(response, request.mostBytes ?? MOST_ANSWER_BYTES));
    } catch (error) {
      throw deadline.explain(error);
    } finally {
      deadline.clear();
    }
  }

  async lines(request: LinesRequest): Promise<AsyncIterable<string>> {
    const { path, query, accept = 'application/json', timeoutMs = DEFAULT_TIMEOUT_MS, signal } = request;
    const deadline = new Deadline(timeoutMs, [this.#closing.signal, signal]);
    try {
      const sent = { method: 'GET', path, query, headers: { accept }, signal: deadline.signal };
      return linesOf(await this.#send(sent), deadline.signal);
    } catch (error) {
      throw deadline.explain(error);
    } finally {
      deadline.clear();
    }
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  /** Resolves with an answer that says yes. */
  async #send(sent: Sent): Promise<Http.IncomingMessage> {
    const access = await this.#credentials.current();
    sent.signal.throwIfAborted();
    const response = await this.#open(sent, access);
    const { statusCode: status = 0 } = response;
    if (status >= 200 && status < 300) return response;
    const text = await bodyOf(response, MOST_REFUSAL_BYTES).catch(() => '');
    throw refusalOf(status, response.headers['retry-after'], text);
  }

  #open(sent: Sent, access: Access): Promise<Http.IncomingMessage> {
    const { method, body, signal } = sent;
    const { protocol, hostname, port, pathname } = this.#base;
    const { request } = protocol === 'http:' ? http : https;
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const asking = request({
        ...access.tls,
        protocol,
        // An IPv6 address has brackets in a URL and nowhere else.
        hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
        port,
        method,
        path: `${pathname.replace(/\/$/, '')}${sent.path}${search(sent.query)}`,
        headers: { 'user-agent': this.#userAgent, ...sent.headers, ...length, ...access.headers },
        agent: access.agent ?? this.#agent,
        signal,
      });
      asking.setSocketKeepAlive(true, TCP_KEEPALIVE_MS);
      asking.on('response', resolve);
      asking.on('error', reject);
      asking.end(body);
    });
  }
}

function typed(contentType = 'application/json'): Record<string, string> {
  return { 'content-type': contentType };
}

function search(query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

async function bodyOf(response: Http.IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) throw new TooMuchError(`the answer is longer than ${mostBytes} bytes`, false);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

async function* linesOf(response: Http.IncomingMessage, signal: AbortSignal): AsyncGenerator<string> {
  const splitter = new LineSplitter(MOST_LINE_BYTES);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield* splitter.push(chunk);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** A signal that is aborted when the time is up or one of the others is. */
class Deadline {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number, signals: readonly (AbortSignal | undefined)[]) {
    const late = new AbortController();
    const problem = new TooMuchError(`no answer within ${timeoutMs / 1000} s`, true);
    this.#timer = setTimeout(() => late.abort(problem), timeoutMs);
    this.signal = AbortSignal.any([late.signal, ...signals.filter((signal) => signal !== undefined)]);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  /** A cut connection is told as what cut it. */
  explain(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }
}
