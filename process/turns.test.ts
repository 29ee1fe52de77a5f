import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { until } from '../test/until.ts';
import { listen } from './listen.ts';
import { inTurn } from './turns.ts';

async function dial(
  t: ExecutionContext,
  handle: RequestListener,
  server = createServer(inTurn(handle)),
): Promise<Socket> {
  const port = await listen(server, 'the server', '127.0.0.1', 0);
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  await once(socket, 'connect');
  return socket;
}

/** A reset is an end like any other here: `once` would reject. */
function closeOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

function requests(count: number): string {
  const paths = Array.from({ length: count }, (_, index) => `/${index + 1}`);
  return paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join('');
}

test('given pipelined requests, performs each one after the answer before it', async (t) => {
  const begun: string[] = [];
  const answers: (() => void)[] = [];
  const socket = await dial(t, ({ url = '' }, response) => {
    begun.push(url);
    answers.push(() => response.end(url));
  });
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
  socket.write(requests(3));
  for (const path of ['/1', '/2', '/3']) {
    await until(
      `request ${path} begun`,
      () => begun.at(-1),
      (last) => last === path,
    );
    answers.at(-1)?.();
    await until(
      `answer ${path} received`,
      () => received,
      (text) => text.includes(`\r\n\r\n${path}`),
    );
  }
  t.deepEqual(begun, ['/1', '/2', '/3']);
});

test('given more pipelined requests than may wait, performs one, parses no more than it must, and closes the connection', async (t) => {
  let begun = 0;
  let parsed = 0;
  const handle = inTurn(() => void (begun += 1));
  const server = createServer((request, response) => {
    parsed += 1;
    handle(request, response);
  });
  const socket = await dial(t, handle, server);
  const closed = closeOf(socket);
  socket.write(requests(1_500));
  await closed;
  t.is(begun, 1);
  t.is(parsed, 10);
});

test('given an answer that closes the connection, performs none of the requests behind it', async (t) => {
  let begun = 0;
  const socket = await dial(t, (_request, response) => {
    begun += 1;
    response.setHeader('connection', 'close');
    response.end();
  });
  const closed = closeOf(socket);
  socket.resume();
  socket.write(requests(5));
  await closed;
  t.is(begun, 1);
});

test('given an idle connection that is used again, performs the next request', async (t) => {
  const socket = await dial(t, ({ url }, response) => void response.end(url));
  for (let count = 0; count < 20; count += 1) {
    socket.write(requests(1));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.regex(answer.toString(), /^HTTP\/1\.1 200 OK/);
  }
});
