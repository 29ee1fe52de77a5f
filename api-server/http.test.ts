import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { until } from '../test/until.ts';
import { ApiError } from './api-server.ts';
import { HttpApiServer } from './http.ts';

/** Speaks plain HTTP, as `kubectl proxy` does; TLS is tried against a real API server. */
async function serve(t: ExecutionContext, listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const api = connect(`http://127.0.0.1:${port}/base/`);
  t.teardown(async () => {
    api.close();
    await ended(server);
  });
  return { api, server };
}

function connect(server: string): HttpApiServer {
  const access = { headers: { authorization: 'Bearer token' }, tls: {} };
  return new HttpApiServer({ server, current: async () => access }, 'a-test');
}

async function ended(server: Server): Promise<void> {
  server.closeAllConnections();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
}

test('a request has path, query, credentials and body; the answer is JSON', async (t) => {
  const { api } = await serve(t, (request, response) => {
    const { method, url, headers } = request;
    const { authorization, accept, 'user-agent': agent, 'content-type': type } = headers;
    void text(request).then((body) =>
      response.end(JSON.stringify({ method, url, authorization, accept, agent, type, body })),
    );
  });
  const path = '/api/v1/services';
  t.deepEqual(
    await api.request({
      method: 'PATCH',
      path,
      query: { labelSelector: 'a=b', fieldSelector: undefined },
      contentType: 'application/json-patch+json',
      body: ['é'],
    }),
    {
      method: 'PATCH',
      url: '/base/api/v1/services?labelSelector=a%3Db',
      authorization: 'Bearer token',
      accept: 'application/json',
      agent: 'a-test',
      type: 'application/json-patch+json',
      body: '["é"]',
    },
  );
});

test('what is refused is told with status, reason, message and when to come back', async (t) => {
  const status = { kind: 'Status', reason: 'TooManyRequests', message: 'slow down', code: 429 };
  const answers: [number, string, Record<string, string>][] = [
    [429, JSON.stringify(status), { 'retry-after': '7' }],
    [502, '<html>\n  bad gateway', {}],
    [401, '', {}],
  ];
  const { api } = await serve(t, (_request, response) => {
    const [code, body, headers] = answers.shift()!;
    response.writeHead(code, headers).end(body);
  });
  const ask = async () => t.throwsAsync(api.request({ method: 'GET', path: '/' }), { instanceOf: ApiError });
  t.like(await ask(), { status: 429, reason: 'TooManyRequests', message: 'slow down', retryAfterMs: 7000 });
  t.like(await ask(), { status: 502, reason: '', message: '<html> bad gateway', retryAfterMs: undefined });
  t.like(await ask(), { status: 401, message: 'HTTP status 401' });
});

test('an empty answer is undefined, and one that is no JSON says so', async (t) => {
  const answers = ['', '{"a'];
  const { api } = await serve(t, (_request, response) => response.end(answers.shift()));
  t.is(await api.request({ method: 'GET', path: '/' }), undefined);
  await t.throwsAsync(api.request({ method: 'GET', path: '/' }), {
    message: /^the answer is no JSON .*: \{"a$/,
  });
});

test('an answer that does not come is given up', async (t) => {
  const { api } = await serve(t, () => {});
  const late = { message: 'no answer within 0.02 s' };
  await t.throwsAsync(api.request({ method: 'GET', path: '/', timeoutMs: 20 }), late);
  const signal = new AbortController().signal;
  await t.throwsAsync(api.lines({ path: '/', query: {}, timeoutMs: 20, signal }), late);
});

test('a watch outlasts the time that it had to be accepted in, and ends when the API server ends it', async (t) => {
  const { api } = await serve(t, (_request, response) => {
    response.flushHeaders();
    setTimeout(() => response.end('{"a":1}\n{"b":2}\n'), 1200);
  });
  const { signal } = new AbortController();
  const seen: string[] = [];
  for await (const line of await api.lines({ path: '/', query: {}, timeoutMs: 1000, signal }))
    seen.push(line);
  t.deepEqual(seen, ['{"a":1}', '{"b":2}']);
});

test('a watch that is cut off throws', async (t) => {
  const { api, server } = await serve(t, (_request, response) => response.write('{"a":1}\n'));
  const { signal } = new AbortController();
  const lines = await api.lines({ path: '/', query: {}, signal });
  await t.throwsAsync(async () => {
    for await (const _ of lines) server.closeAllConnections();
  });
});

test('one that is left, by its signal or by closing, leaves no connection', async (t) => {
  const { api, server } = await serve(t, (_request, response) => response.write('{"a":1}\n'));
  const connections = async () =>
    new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
  const leaving = new AbortController();
  const read = async (signal: AbortSignal, leave: () => void) => {
    const lines = await api.lines({ path: '/', query: {}, signal });
    await t.throwsAsync(
      async () => {
        for await (const _ of lines) leave();
      },
      { name: 'AbortError' },
    );
    await until('no open connection', connections, (count) => count === 0);
  };
  await read(leaving.signal, () => leaving.abort());
  await read(new AbortController().signal, () => api.close());
  await t.throwsAsync(api.request({ method: 'GET', path: '/' }), { name: 'AbortError' });
});
