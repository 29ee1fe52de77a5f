/** Clients that keep a connection to the DNS proxy and give nothing for it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { until } from '../until.ts';
import { ask } from './ask.ts';
import { addressAnswer, type Behaviour, framed } from './name-server.ts';
import { startProxyWith, type StartedProxy } from './proxy.ts';

const LONG_MS = 600_000;
const answering: Behaviour = (query) => [addressAnswer(query)];

function question(labels: readonly string[], type = 1): Buffer {
  return framed(queryFor(labels, type));
}

const HELLO = question(['hello', 'demo', 'svc', 'cluster', 'local']);
const MANY = question(['many', 'demo', 'svc', 'cluster', 'local']);

async function open(t: ExecutionContext, port: number, ...bytes: readonly Buffer[]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').pause();
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  for (const each of bytes) socket.write(each);
  return socket;
}

/**
 * A client in a thread, for when the one of this test stands still: it asks, and reads once it is sent anything. `told`
 * is 1 when there is no more to read for the moment.
 */
const READER = `
  const { parentPort, workerData: { port, queries, told, bytesExpected } } = require('node:worker_threads');
  const socket = require('node:net').connect(port, '127.0.0.1').pause();
  socket.write(queries);
  parentPort.once('message', () => {
    const quiet = setTimeout(() => {
      Atomics.store(told, 0, 1);
      Atomics.notify(told, 0);
    }, 300);
    socket.on('data', () => {
      quiet.refresh();
      if (socket.bytesRead === bytesExpected) socket.destroy();
    }).resume();
  });
`;

const connections = (proxy: StartedProxy['proxy'], what: string, satisfies: (count: number) => boolean) =>
  until(what, () => proxy.tcp.connectionCount, satisfies);

const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;

test('who sends less than a message, or reads none, is closed in the end', async (t) => {
  const { proxy, port } = await startProxyWith(
    t,
    { tcpLimits: { idleMs: 2_000, unreadMs: LONG_MS } },
    answering,
  );
  await open(t, port);
  await open(t, port, Buffer.from([0]));
  await open(t, port, HELLO.subarray(0, 20));
  await open(t, port, Buffer.from([0xff, 0xff]), Buffer.alloc(60_000));
  await open(t, port, ...Array.from({ length: 2_000 }, () => MANY));
  const dripping = await open(t, port);
  const timer = setInterval(() => dripping.write(Buffer.from([0xff])), 50);
  t.teardown(() => clearInterval(timer));
  await connections(proxy, 'an open connection', (count) => count > 0);
  // One that asks once in a while may stay.
  const asking = await open(t, port);
  let answered = 0;
  asking.on('data', () => answered++).resume();
  do {
    asking.write(HELLO);
    await delay(100);
  } while (proxy.tcp.connectionCount > 1);
  t.true(answered > 0);
  t.false(asking.destroyed);
});

test('where there are too many connections, those that rest longest make room', async (t) => {
  const { proxy, port } = await startProxyWith(
    t,
    { tcpLimits: { mostConnections: 8, idleMs: LONG_MS } },
    answering,
  );
  for (let index = 0; index < 20; index++) await open(t, port, HELLO.subarray(0, 1));
  for (const name of ['hello.demo.svc.cluster.local', 'www.example.com']) {
    t.is((await ask(port, { name, transport: 'tcp' })).status, 'NOERROR');
  }
  t.true(proxy.tcp.connectionCount <= 8);
  t.true(proxy.counters.refused >= 12);
});

test('who leaves answers unread is closed', async (t) => {
  const limits = { tcpLimits: { idleMs: LONG_MS, unreadMs: 1_000 } };
  const { proxy, port } = await startProxyWith(t, limits, answering);
  await open(t, port, ...Array.from({ length: 20_000 }, () => MANY));
  await connections(proxy, '1 open connection', (count) => count === 1);
  await connections(proxy, 'no open connection', (count) => count === 0);
  t.is(proxy.counters.refused, 1);
});

test.serial('who reads while the proxy stands still is left alone', async (t) => {
  const unreadMs = 2_000;
  const { proxy, port } = await startProxyWith(t, { tcpLimits: { idleMs: LONG_MS, unreadMs } }, answering);
  const told = new Int32Array(new SharedArrayBuffer(4));
  const queries = Buffer.concat(Array.from({ length: 4_000 }, () => MANY));
  const bytesExpected = 4_000 * (MANY.length + 200 * 16);
  const client = new Worker(READER, { eval: true, workerData: { port, queries, told, bytesExpected } });
  t.teardown(() => client.terminate());
  // Until what it does not read lies here.
  await until(
    '100,000 bytes held for the client that does not read',
    () => proxy.tcp.heldBytes,
    (bytes) => bytes > 100_000,
  );
  // So that timers run next, and reading what has come only after them.
  await new Promise(setImmediate);
  const sinceMs = performance.now();
  client.postMessage('read', []);
  Atomics.wait(told, 0, 0);
  Atomics.wait(told, 0, 1, unreadMs - (performance.now() - sinceMs));
  const [code] = (await once(client, 'exit')) as [number];
  t.is(code, 0);
  t.is(proxy.counters.refused, 0);
});

test('what is held for all together has a bound, and who takes most of it is closed', async (t) => {
  const mostBytes = 1 << 20;
  const { proxy, port } = await startProxyWith(t, { tcpLimits: { idleMs: LONG_MS, mostBytes } }, answering);
  const modest = await open(t, port, HELLO.subarray(0, 20));
  for (let index = 0; index < 40; index++) {
    await open(t, port, Buffer.from([0xff, 0xff]), Buffer.alloc(60_000));
  }
  await until(
    'more than 10 refused queries',
    () => proxy.counters,
    ({ refused }) => refused > 10,
  );
  t.true(proxy.tcp.heldBytes <= mostBytes, `${proxy.tcp.heldBytes} bytes`);
  modest.write(HELLO.subarray(20));
  const [answer] = (await once(modest.resume(), 'data')) as [Buffer];
  t.is(answer.length, HELLO.length + 16);
});

test('who waits for an answer does not rest', async (t) => {
  const others = Promise.withResolvers<void>();
  const { proxy, port } = await startProxyWith(t, { tcpLimits: { idleMs: 3_000 } }, async (query) => {
    await others.promise;
    return [addressAnswer(query)];
  });
  const waiting = await open(t, port, question(['www', 'example', 'com']));
  await until(
    'the query under way',
    () => proxy.forwarder.flightCount,
    (count) => count === 1,
  );
  const resting = await open(t, port);
  await once(resting.resume(), 'close');
  t.is(proxy.tcp.connectionCount, 1);
  others.resolve();
  const [answer] = (await once(waiting.resume(), 'data')) as [Buffer];
  t.is(answer.readUInt16BE(4) & 0xf, 0);
});

test.serial('nothing is kept of connections that are gone, though answers come later', async (t) => {
  const left = Promise.withResolvers<void>();
  const { proxy, port, servers } = await startProxyWith(t, {}, async (query) => {
    await left.promise;
    return [addressAnswer(query)];
  });
  const before = timers();
  const part = Buffer.alloc(30_000, 0xff);
  const leaving = await Promise.all(
    Array.from({ length: 20 }, () => open(t, port, question(['www', 'example', 'com']), part)),
  );
  await until(
    '20 queries waiting, and 20 messages begun',
    () => proxy,
    ({ forwarder, tcp }) => forwarder.waitingCount === 20 && tcp.heldBytes > 20 * part.length,
  );
  for (const socket of leaving) socket.resetAndDestroy();
  await connections(proxy, 'no open connection', (count) => count === 0);
  t.is(proxy.tcp.heldBytes, 0);
  left.resolve();
  await until(
    'no connection at the upstream server',
    () => servers[0]?.connectionCount,
    (count) => count === 0,
  );
  t.is(timers(), before);
});

test('who asks and leaves takes no connection to a server from others', async (t) => {
  const streamTimes = { attemptMs: LONG_MS, answerMs: LONG_MS };
  const { proxy, port } = await startProxyWith(t, { streamTimes }, (query) =>
    query[13] === 0x78 ? [] : [addressAnswer(query)],
  );
  const leaving = await Promise.all(
    Array.from({ length: 16 }, (_, index) => {
      const questions = Array.from({ length: 16 }, (_one, count) =>
        question([`x${index}-${count}`, 'example', 'com']),
      );
      return open(t, port, ...questions);
    }),
  );
  // As many as there may be.
  await until(
    '256 queries under way',
    () => proxy.forwarder.flightCount,
    (count) => count === 256,
  );
  for (const socket of leaving) socket.resetAndDestroy();
  await connections(proxy, 'no open connection', (count) => count === 0);
  t.is((await ask(port, { name: 'www.example.com', transport: 'tcp' })).status, 'NOERROR');
});
