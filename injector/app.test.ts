import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test, { type ExecutionContext } from 'ava';
import { listen } from '../process/listen.ts';
import { createLogger } from '../process/log.ts';
import { PLAIN_POD, podReview, responseIn } from '../test/injector/reviews.ts';
import { until } from '../test/until.ts';
import { createApp } from './app.ts';
import { issueAuthority, issueServer } from './certificates/issue.ts';
import { createInjection } from './injection.ts';
import type { BodyLimits } from './request-body.ts';
import { createReviewer, type Outcome, type Reviewer } from './reviewer.ts';
import { closeServer, createWebhookServer } from './server.ts';

const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 };
const authority = await issueAuthority(validity);
const served = await issueServer(authority, ['127.0.0.1'], validity);
const ca = authority.certificate.pem;

const injection = createInjection({ image: 'i', controlPlane: [], adminHost: '::', resources: {} });
const realReviewer = createReviewer({ findNamespace: (name) => ({ name }), injection: () => injection });

interface Setting {
  readonly review?: Reviewer;
  readonly limits?: BodyLimits;
}

async function serve(t: ExecutionContext, { review = realReviewer, limits }: Setting = {}) {
  const outcomes: Outcome[] = [];
  const errors: unknown[] = [];
  const state = { isEnding: false };
  const handler = createApp({
    review,
    observe: (outcome) => outcomes.push(outcome),
    isEnding: () => state.isEnding,
    logger: createLogger({
      format: 'json',
      level: () => 'error',
      write: (line) => errors.push(JSON.parse(line)),
      now: () => new Date(),
    }),
    ...(limits === undefined ? {} : { limits }),
  });
  const server = createWebhookServer(handler);
  server.setSecureContext({ cert: served.certificate.pem, key: served.key });
  const port = await listen(server, 'the webhook', '127.0.0.1', 0);
  const agent = new Agent({ ca, keepAlive: true });
  t.teardown(async () => {
    agent.destroy();
    server.closeAllConnections();
    await closeServer(server);
  });
  const ask = (options: Asked = {}): Promise<Answer> => askOf(port, agent, options);
  return { ask, port, server, outcomes, errors, state };
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

const REVIEW = JSON.stringify(podReview(PLAIN_POD));

function askOf(port: number, agent: Agent, asked: Asked): Promise<Answer> {
  const { method = 'POST', path = '/mutate?timeout=5s', body = REVIEW } = asked;
  const headers = { 'content-type': 'application/json', ...asked.headers };
  return new Promise((resolve, reject) => {
    const asking = httpsRequest({ host: '127.0.0.1', port, agent, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
      response.on('error', reject);
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

test('a review over TLS, again and again on one connection', async (t) => {
  const { ask, outcomes, server } = await serve(t);
  let connections = 0;
  server.on('secureConnection', () => (connections += 1));
  for (let count = 0; count < 3; count += 1) {
    const { status, headers, text } = await ask();
    t.is(status, 200);
    t.is(headers['content-type'], 'application/json; charset=utf-8');
    t.true(responseIn(text).allowed);
  }
  t.is(connections, 1);
  t.deepEqual(outcomes, ['injected', 'injected', 'injected']);
});

test('other paths, methods and kinds of content', async (t) => {
  const { ask } = await serve(t);
  const cases: readonly (readonly [Asked, number, string])[] = [
    [{ path: '/' }, 404, 'nothing at /; there is POST /mutate\n'],
    [{ path: '/mutate/' }, 404, 'nothing at /mutate/; there is POST /mutate\n'],
    [{ method: 'GET', body: '' }, 405, 'GET is not for /mutate; there is POST\n'],
    [{ method: 'PUT' }, 405, 'PUT is not for /mutate; there is POST\n'],
    [{ headers: { 'content-type': 'text/plain' } }, 415, 'send application/json\n'],
    [{ headers: { 'content-type': 'application/jsonx' } }, 415, 'send application/json\n'],
    [
      { headers: { 'content-type': 'application/json; charset=utf-8' }, body: '[' },
      400,
      'the body is no JSON:',
    ],
  ];
  for (const [asked, status, text] of cases) {
    const answer = await ask(asked);
    t.is(answer.status, status);
    t.true(answer.text.startsWith(text), answer.text);
  }
  t.is((await ask({ method: 'GET', body: '' })).headers['allow'], 'POST');
  t.is((await ask()).status, 200);
});

test('a body of the size that an API server may send, and one beyond', async (t) => {
  const { ask, outcomes } = await serve(t);
  const command = ['x'.repeat(3 * 1024 ** 2 + 1000)];
  const large = podReview({ ...PLAIN_POD, spec: { containers: [{ name: 'app', command }] } });
  t.is((await ask({ body: JSON.stringify(large) })).status, 200);
  const huge = await ask({ body: Buffer.alloc(7 * 1024 ** 2, 'x') });
  t.deepEqual([huge.status, huge.text], [413, 'the body is longer than 3407872 bytes\n']);
  t.deepEqual(outcomes, ['injected', 'error']);
});

test('bodies in pieces, split anywhere', async (t) => {
  const { port } = await serve(t);
  const socket = await dial(port);
  const body = Buffer.from(JSON.stringify(podReview({ ...PLAIN_POD, metadata: { name: 'überall' } })));
  socket.write(
    `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const middle = body.indexOf('ü') + 1;
  socket.write(body.subarray(0, middle));
  await new Promise((resolve) => setTimeout(resolve, 20));
  socket.write(body.subarray(middle));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.regex(answer.toString(), /^HTTP\/1\.1 200 OK/);
  socket.destroy();
});

async function dial(port: number, from = '127.0.0.1'): Promise<TLSSocket> {
  const raw = connectTcp({ host: '127.0.0.1', port, localAddress: from });
  const socket = connect({ socket: raw, host: '127.0.0.1', ca });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** A reset is an end like any other here: `once` would reject. */
function closeOf(socket: TLSSocket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

const SMALL_LIMITS: BodyLimits = {
  bodyBytes: 100_000,
  allBodiesBytes: 1_000_000,
  addressBytes: 1_000_000,
  smallBodyBytes: 10_000,
  discardedBytes: 1_000_000,
  depth: 64,
  values: 10_000,
};

test('many bodies at once take no more than their share, and those that do not fit hear so', async (t) => {
  const { ask, port } = await serve(t, { limits: { ...SMALL_LIMITS, allBodiesBytes: 150_000 } });
  const holders = await Promise.all([dial(port), dial(port)]);
  for (const holder of holders) {
    holder.write(
      'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n',
    );
    holder.write('x'.repeat(70_000));
  }
  t.is((await ask()).status, 200);
  let answer = await until(
    '503 for a long body',
    () => ask({ body: Buffer.alloc(50_000, ' ') }),
    ({ status }) => status === 503,
  );
  t.is(answer.text, 'too many long bodies at once: try again\n');
  for (const holder of holders) holder.destroy();
  answer = await until(
    '400 for a long body',
    () => ask({ body: Buffer.alloc(99_000, ' ') }),
    ({ status }) => status === 400,
  );
  t.is((await ask()).status, 200);
});

test('one address can take no more than its share of all that is being read', async (t) => {
  const { ask, port, server } = await serve(t, { limits: { ...SMALL_LIMITS, addressBytes: 100_000 } });
  const received = { bytes: 0 };
  server.on('request', (request) => request.on('data', ({ length }) => (received.bytes += length)));
  for (const from of ['127.0.0.2', '127.0.0.3']) {
    const holder = await dial(port, from);
    t.teardown(() => holder.destroy());
    holder.write(
      'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99000\r\n\r\n',
    );
    received.bytes = 0;
    holder.write('x'.repeat(90_000));
    await until(
      '90,000 received bytes',
      () => received.bytes,
      (bytes) => bytes >= 90_000,
    );
    const body = 'x'.repeat(50_000);
    const second = await dial(port, from);
    t.teardown(() => second.destroy());
    second.write(
      `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50000\r\n\r\n${body}`,
    );
    const [answer] = (await once(second, 'data')) as [Buffer];
    t.regex(answer.toString(), /^HTTP\/1\.1 503 /);
  }
  const answer = await ask({ body: Buffer.alloc(90_000, ' ') });
  t.is(answer.status, 400);
  t.is(answer.headers['connection'], 'close');
});

test('whoever goes away in the middle of a body leaves nothing behind', async (t) => {
  const { ask, port, server, outcomes } = await serve(t);
  const socket = await dial(port);
  const requested = once(server, 'request');
  socket.write(
    'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{',
  );
  await requested;
  socket.destroy();
  await until(
    'the outcome of the review',
    () => outcomes,
    ({ length }) => length > 0,
  );
  t.deepEqual(outcomes, ['error']);
  t.is((await ask()).status, 200);
});

test('a body that never ends is cut off', async (t) => {
  const { port, server } = await serve(t);
  server.requestTimeout = 50;
  server.headersTimeout = 50;
  const socket = await dial(port);
  socket.write(
    'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.regex(answer.toString(), /^HTTP\/1\.1 408 /);
  await once(socket, 'close');
});

test('given bodies that are cheap to send and costly to parse, parses none of them', async (t) => {
  const parsed: string[] = [];
  const { ask } = await serve(t, {
    review: (body) => {
      parsed.push(body);
      return realReviewer(body);
    },
  });
  const bytes = 3 * 1024 ** 2;
  const deep = 'the body is nested deeper than 64 levels\n';
  const many = 'the body has more than 100000 values\n';
  const costly: Readonly<Record<string, readonly [text: string, why: string]>> = {
    'nested lists': [`{"kind":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`, deep],
    'nested objects': ['{"":'.repeat(bytes / 4), deep],
    'many objects': [`[${'{},'.repeat(bytes / 3)}{}]`, many],
    'one key many times': [`{${'"a":1,'.repeat(bytes / 6)}"a":1}`, many],
    'many keys': [`{${Array.from({ length: 200_000 }, (_, index) => `"${index}":1`).join(',')}}`, many],
    'many prototypes': [`[${'{"__proto__":{}},'.repeat(bytes / 17)}{}]`, many],
  };
  for (const [shape, [body, why]] of Object.entries(costly)) {
    const { status, text } = await ask({ body });
    t.deepEqual([status, text], [400, why], shape);
  }
  t.deepEqual(parsed, []);
  t.is((await ask({ body: JSON.stringify(podReview(BIG_POD)) })).status, 200);
  t.is(parsed.length, 1);
});

/** With 5,000 variables, and what the API server keeps about who set each of them. */
const BIG_POD = {
  ...PLAIN_POD,
  metadata: {
    name: 'web',
    managedFields: [
      {
        fieldsV1: Object.fromEntries(
          Array.from({ length: 5_000 }, (_, index) => [
            `k:{"name":"VARIABLE_${index}"}`,
            { '.': {}, 'f:name': {}, 'f:value': {} },
          ]),
        ),
      },
    ],
  },
  spec: {
    containers: [
      {
        name: 'app',
        env: Array.from({ length: 5_000 }, (_, index) => ({ name: `VARIABLE_${index}`, value: 'x' })),
      },
    ],
  },
};

test('given a body in pieces of one byte, holds one buffer for it', async (t) => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const { port, server } = await serve(t);
  const received = { bytes: 0 };
  server.on('request', (request) => request.on('data', ({ length }) => (received.bytes += length)));
  const socket = await dial(port);
  t.teardown(() => socket.destroy());
  // Reading them may take a while beside other tests.
  server.requestTimeout = 0;
  const pieces = 100_000;
  collectGarbage();
  const before = process.memoryUsage();
  socket.write(
    'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  socket.write('1\r\nx\r\n'.repeat(pieces));
  await until(
    'all pieces received',
    () => received.bytes,
    (bytes) => bytes === pieces,
  );
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const grown = heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers;
  t.true(grown < 5 * 1024 ** 2, `${grown} bytes`);
});

test('given 1,500 pipelined reviews, performs one and closes the connection', async (t) => {
  const gate = Promise.withResolvers<void>();
  let reviews = 0;
  const { ask, port } = await serve(t, {
    review: async (body) => {
      reviews += 1;
      await gate.promise;
      return realReviewer(body);
    },
  });
  const socket = await dial(port);
  const closed = closeOf(socket);
  const head = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`;
  socket.write(`${head}{}`.repeat(1_500));
  await closed;
  t.true(reviews <= 1, `${reviews} reviews`);
  gate.resolve();
  t.is((await ask()).status, 200);
});

test('targets that are no paths', async (t) => {
  const { port } = await serve(t);
  for (const target of [
    '//',
    '*',
    'http://[',
    'http://x:99999/mutate',
    '/mutate#a',
    '/%ff',
    '/\u00ff',
    '?',
  ]) {
    const socket = await dial(port);
    socket.write(`POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.regex(answer.toString(), /^HTTP\/1\.1 4\d\d /, target);
    socket.destroy();
  }
});

test('bytes that are no HTTP, and no TLS', async (t) => {
  const { ask, port } = await serve(t);
  const socket = await dial(port);
  socket.write('\0\x01garbage\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.regex(answer.toString(), /^HTTP\/1\.1 400 /);
  await t.throwsAsync(fetch(`http://127.0.0.1:${port}/mutate`));
  t.is((await ask()).status, 200);
});

test('a fault of ours fails one review and is logged with its stack', async (t) => {
  let isBroken = true;
  const { ask, errors, outcomes } = await serve(t, {
    review: (body) => {
      if (isBroken) throw new TypeError('there is no pod');
      return realReviewer(body);
    },
  });
  const { status, text } = await ask();
  t.deepEqual([status, text], [500, 'the injector failed; its log says why\n']);
  t.regex(JSON.stringify(errors), /TypeError: there is no pod\\n.*at /);
  isBroken = false;
  t.is((await ask()).status, 200);
  t.deepEqual(outcomes, ['error', 'injected']);
});

test('a connection that says nothing does not hold up the end', async (t) => {
  const { port, server } = await serve(t);
  const silent = connect({ host: '127.0.0.1', port, ca });
  silent.on('error', () => {});
  // Accepted, and in the middle of its handshake.
  await once(server, 'connection');
  const closed = once(silent, 'close');
  await closeServer(server);
  await closed;
  t.pass();
});

test('at the end, reviews under way are answered and connections let go', async (t) => {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const { ask, server, state } = await serve(t, {
    review: async (body) => {
      reached.resolve();
      await gate.promise;
      return realReviewer(body);
    },
  });
  const answer = ask();
  await reached.promise;
  state.isEnding = true;
  const closed = closeServer(server);
  gate.resolve();
  const { status, headers } = await answer;
  t.is(status, 200);
  t.is(headers['connection'], 'close');
  await closed;
});
