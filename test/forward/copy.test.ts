import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import {
  balanceOver,
  closedPort,
  echo,
  endOf,
  HOST,
  readAll,
  startBackend,
  startForwarder,
} from './harness.ts';

/** Writes as fast as the other side takes it, for ever. */
function flood(socket: Socket): void {
  const chunk = Buffer.alloc(64 * 1024);
  const write = (): void => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', write);
  write();
}

/** Waits until a count no longer grows. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1; ; await delay(300)) {
    const now = count();
    if (now === before && now > 0) return now;
    before = now;
  }
}

test('the client ends first: the backend hears it and can still answer', async (t) => {
  const backend = await startBackend(t, (socket) => {
    void readAll(socket).then((text) => socket.end(`got ${text}`));
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.end('everything');
  t.is(await readAll(socket), 'got everything');
  t.like(await log.nextOutcome(), {
    ending: 'complete',
    closedFirst: 'client',
    sentBytes: 10,
    receivedBytes: 14,
  });
});

test('the backend ends first: the client hears it and can still send', async (t) => {
  const received = Promise.withResolvers<string>();
  const backend = await startBackend(t, (socket) => {
    socket.end('that is all');
    void readAll(socket).then(received.resolve);
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  t.is(await readAll(socket), 'that is all');
  socket.end('still here');
  t.is(await received.promise, 'still here');
  t.like(await log.nextOutcome(), {
    ending: 'complete',
    closedFirst: 'backend',
    sentBytes: 10,
    receivedBytes: 11,
  });
});

test('a server that speaks first', async (t) => {
  const backend = await startBackend(t, (socket) => socket.write('220 ready'));
  const { client } = startForwarder(t, { routes: balanceOver([backend]) });
  const [greeting] = (await once(client(), 'data')) as [Buffer];
  t.is(greeting.toString(), '220 ready');
});

test('a backend that resets mid-stream: the client sees a reset, not an end', async (t) => {
  const backend = await startBackend(t, (socket) => {
    socket.once('data', () => socket.resetAndDestroy());
    socket.write('half of');
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  const [part] = (await once(socket, 'data')) as [Buffer];
  t.is(part.toString(), 'half of');
  const ended = endOf(socket);
  socket.write('go on');
  t.is(await ended, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'backend-reset', closedFirst: 'backend', detail: 'ECONNRESET' });
});

test('a backend that answers early and is gone: the answer comes before the reset', async (t) => {
  const accepted = Promise.withResolvers<Socket>();
  const backend = await startBackend(t, (socket) => {
    socket.once('data', () => accepted.resolve(socket));
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.write('the beginning of much');
  const server = await accepted.promise;
  // More for the backend is seen first, and cannot be written to it any more.
  socket.write('more');
  server.write('413 too much');
  server.resetAndDestroy();
  await once(socket, 'close').catch(() => {});
  t.is(answer, '413 too much');
  t.like(await log.nextOutcome(), { ending: 'backend-reset', closedFirst: 'backend', receivedBytes: 12 });
});

test('a client that resets: the backend sees a reset, not an end', async (t) => {
  const ended = Promise.withResolvers<string>();
  const backend = await startBackend(t, (socket) => {
    socket.write('welcome');
    void endOf(socket).then(ended.resolve);
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  await once(socket, 'data');
  socket.resetAndDestroy();
  t.is(await ended.promise, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'client-reset', closedFirst: 'client' });
});

test('a client that resets while the backend floods it', async (t) => {
  const closed = Promise.withResolvers<void>();
  const backend = await startBackend(t, (socket) => {
    flood(socket);
    socket.on('close', () => closed.resolve());
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  await once(socket, 'data');
  socket.pause();
  socket.resetAndDestroy();
  await closed.promise;
  t.like(await log.nextOutcome(), { ending: 'client-reset' });
});

test('a client that never reads: the backend is held back, and goes on once it reads', async (t) => {
  let written = 0;
  const backend = await startBackend(t, (socket) => {
    const timer = setInterval(() => (written = socket.bytesWritten - socket.writableLength), 20);
    socket.on('close', () => clearInterval(timer));
    flood(socket);
  });
  const { client, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.pause();
  await settled(() => written);
  const [connection] = forwarder.connections;
  const copied = connection?.receivedBytes ?? 0;
  // The kernel's buffers on both sides, and one buffer of ours.
  t.true(copied > 0 && copied < 32 * 1024 * 1024, `${copied} bytes taken for a client that reads nothing`);
  const more = Promise.withResolvers<void>();
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received > 2 * copied) more.resolve();
  });
  socket.resume();
  await more.promise;
});

test('a backend that never reads: the client is held back', async (t) => {
  const backend = await startBackend(t, (socket) => void socket.pause());
  const { client, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  await once(socket, 'connect');
  flood(socket);
  await settled(() => socket.bytesWritten - socket.writableLength);
  const [connection] = forwarder.connections;
  t.true((connection?.sentBytes ?? 0) < 32 * 1024 * 1024);
});

test('both sides idle: both are reset after the idle time', async (t) => {
  const backendEnded = Promise.withResolvers<string>();
  const backend = await startBackend(t, (socket) => {
    socket.write('welcome');
    void endOf(socket).then(backendEnded.resolve);
  });
  const { client, log } = startForwarder(t, {
    routes: balanceOver([backend]),
    limits: { idleTimeoutMs: 100 },
  });
  t.is(await endOf(client()), 'ECONNRESET');
  t.is(await backendEnded.promise, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'idle-timeout', closedFirst: 'proxy', receivedBytes: 7 });
});

test('one side that keeps sending is not idle', async (t) => {
  const backend = await startBackend(t, (socket) => {
    const timer = setInterval(() => socket.write('.'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  const { client, forwarder } = startForwarder(t, {
    routes: balanceOver([backend]),
    limits: { idleTimeoutMs: 2_000 },
  });
  const socket = client();
  await once(socket, 'data');
  await delay(4_000);
  t.is(forwarder.connections.size, 1);
});

test('a client that is gone before the backend answers', async (t) => {
  const backend = await startBackend(t, echo);
  const { port, log } = startForwarder(t, { routes: balanceOver([await closedPort(), backend]) });
  for (let round = 0; round < 20; round++) {
    const socket = connect(port, HOST);
    await once(socket, 'connect');
    socket.resetAndDestroy();
    t.true(['client-reset', 'complete'].includes((await log.nextOutcome()).ending));
  }
});

test('a drain stops accepting, lets connections finish, and then is done', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, port, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.write('before');
  await once(socket, 'data');
  const drained = forwarder.drain(60_000);
  const [refused] = (await once(connect(port, HOST), 'error')) as [NodeJS.ErrnoException];
  t.is(refused.code, 'ECONNREFUSED');
  socket.end(' and after');
  t.is(await readAll(socket), ' and after');
  await drained;
  t.is(forwarder.connections.size, 0);
});

test('a drain past its limit resets what is left', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, log, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.write('before');
  await once(socket, 'data');
  const ended = endOf(socket);
  await forwarder.drain(50);
  t.is(await ended, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'drained', closedFirst: 'proxy' });
});

test('a connection that has gone quiet gives back the memory it grew to, and goes on', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  const bytes = Buffer.alloc(4 * 1024 * 1024, 'x');
  const receive = async (): Promise<void> => {
    for (let missing = bytes.length; missing > 0;) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      missing -= chunk.length;
    }
  };
  socket.write(bytes);
  await receive();
  t.true(forwarder.pool.grownBytes > 0);
  const [connection] = forwarder.connections;
  const nowMs = performance.now();
  connection?.tick(nowMs);
  t.true(forwarder.pool.grownBytes > 0, 'not yet quiet for long');
  connection?.tick(nowMs + 6_000);
  t.is(forwarder.pool.grownBytes, 0);
  socket.write(bytes);
  await receive();
  socket.end('and the end');
  t.is(await readAll(socket), 'and the end');
});
