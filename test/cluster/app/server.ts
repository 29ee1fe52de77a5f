/**
 * An HTTP server that answers which pod it is. It knows of no mesh, and ends as a well-behaved server does: told to
 * end, it takes what has reached it, listens no more, finishes what is in flight and ends each kept connection with
 * an answer that says so, never between two requests.
 *
 *   node /app/server.ts [port] [milliseconds that kept connections are kept after SIGTERM]
 *
 * GET /?token=…                    {pod, token}
 * GET /stream?ms=…                 a line every 100 ms, for that long, and at last "end"
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const TICK_MS = 100;
/**
 * Connections that the kernel took and the program did not are reset when it stops listening, mesh or not: they
 * have a moment, on a busy machine too. New ones are refused afterwards, while other pods may not know it yet.
 */
const TAKES_WHAT_CAME_MS = 500;
const [port = '8080', keepMs = '0'] = process.argv.slice(2);
const pod = process.env['HOSTNAME'];
/** What is still kept after this (milliseconds since the epoch) is ended with its next answer. */
let lastAnswerAfter = Infinity;

const server = createServer((request, response) => {
  if (Date.now() >= lastAnswerAfter) response.setHeader('connection', 'close');
  const url = new URL(request.url ?? '/', 'http://server');
  if (url.pathname === '/stream') stream(response, Number(url.searchParams.get('ms')));
  else answer(request, response, url.searchParams.get('token') ?? '');
});
server.keepAliveTimeout = 0;
// Node's own close() ends idle connections, and a request may be on its way on one of them.
server.closeIdleConnections = () => {};
server.listen({ port: Number(port), host: '::' });

process.on('SIGTERM', () => {
  lastAnswerAfter = Date.now() + Number(keepMs);
  process.stdout.write(`${new Date().toISOString()} told to end\n`);
  setTimeout(close, TAKES_WHAT_CAME_MS);
});

function close(): void {
  server.close(() => process.stdout.write(`${new Date().toISOString()} ended\n`));
}

function answer(request: IncomingMessage, response: ServerResponse, token: string): void {
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ pod, token, from: request.socket.remoteAddress })}\n`);
}

function stream(response: ServerResponse, ms: number): void {
  const end = Date.now() + ms;
  const timer = setInterval(() => {
    if (Date.now() < end) response.write('tick\n');
    else response.end('end\n');
  }, TICK_MS);
  response.on('close', () => clearInterval(timer));
}
