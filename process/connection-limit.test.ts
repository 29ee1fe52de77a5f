import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { issueAuthority, issueServer } from '../injector/certificates/issue.ts';
import { type ConnectionLimits, limitConnections } from './connection-limit.ts';
import { listen } from './listen.ts';

const answerAtOnce: RequestListener = (_request, response) => void response.end('ok');

async function limited(
  t: ExecutionContext,
  limits: ConnectionLimits,
  server: Server = createServer(answerAtOnce),
): Promise<{ port: number; server: Server }> {
  limitConnections(server, limits);
  const port = await listen(server, 'the server', '127.0.0.1', 0);
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { port, server };
}

/** Resolves once the server has it. */
async function dial(t: ExecutionContext, server: Server, from = '127.0.0.1'): Promise<Socket> {
  const { port } = server.address() as { port: number };
  const accepted = once(server, 'connection');
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await accepted;
  return socket;
}

async function answerOn(socket: Socket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString().slice(0, 15);
}

const OK = 'HTTP/1.1 200 OK';
const all = { isCounted: () => true };

test('where all is taken by connections that say nothing, the one that is so for longest makes room', async (t) => {
  const { server } = await limited(t, { total: 3, perAddress: 1 });
  const [first, second, third] = [
    await dial(t, server),
    await dial(t, server),
    await dial(t, server),
  ] as const;
  t.is(await answerOn(first), OK);
  const gone = once(second, 'close');
  const fourth = await dial(t, server);
  t.is(await answerOn(fourth), OK);
  await gone;
  t.is(await answerOn(first), OK);
  t.is(await answerOn(third), OK);
});

test('one address has its share, and takes room from nobody else', async (t) => {
  const { server } = await limited(t, { total: 10, perAddress: 2, ...all });
  const other = await dial(t, server, '127.0.0.2');
  const first = await dial(t, server);
  const gone = once(first, 'close');
  const others: Socket[] = [];
  for (let count = 0; count < 20; count += 1) others.push(await dial(t, server));
  await gone;
  t.is(await answerOn(other), OK);
  t.is(await answerOn(others.at(-1)!), OK);
  t.is(await answerOn(others.at(-2)!), OK);
});

test('a request that is under way is not cut off: the new connection is', async (t) => {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const waiting = createServer((_request, response) => {
    reached.resolve();
    void gate.promise.then(() => response.end('ok'));
  });
  const { server } = await limited(t, { total: 1, perAddress: 1 }, waiting);
  const first = await dial(t, server);
  const answer = answerOn(first);
  await reached.promise;
  const refused = await dial(t, server);
  if (!refused.closed) await once(refused, 'close');
  gate.resolve();
  t.is(await answer, OK);
  // Answered, it is idle, and makes room.
  const gone = once(first, 'close');
  t.is(await answerOn(await dial(t, server)), OK);
  await gone;
});

test('those that have gone are not counted any more', async (t) => {
  const { server } = await limited(t, { total: 2, perAddress: 1, ...all });
  for (let count = 0; count < 5; count += 1) {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = await dial(t, server);
    const [theirs] = await accepted;
    const closed = once(theirs, 'close');
    socket.destroy();
    await closed;
  }
  const kept = await dial(t, server);
  await dial(t, server, '127.0.0.2');
  t.is(await answerOn(kept), OK);
});

test('over TLS: handshakes that never end make room, requests under way stay', async (t) => {
  const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 };
  const authority = await issueAuthority(validity);
  const { certificate, key } = await issueServer(authority, ['127.0.0.1'], validity);
  const secure = createTlsServer({ cert: certificate.pem, key }, answerAtOnce);
  const { port, server } = await limited(t, { total: 2, perAddress: 1 }, secure);
  const dialTls = async (): Promise<Socket> => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: authority.certificate.pem });
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    await once(socket, 'secureConnect');
    return socket;
  };
  const kept = await dialTls();
  t.is(await answerOn(kept), OK);
  for (let count = 0; count < 5; count += 1) {
    await dial(t, server);
    t.is(await answerOn(kept), OK);
  }
  t.is(await answerOn(await dialTls()), OK);
});
