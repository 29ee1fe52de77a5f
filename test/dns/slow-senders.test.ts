/** Clients that keep a connection to the DNS proxy and give nothing for it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { until } from '../system/programs.ts';
import { ask } from './ask.ts';
import { addressAnswer, type Behaviour, framed } from './name-server.ts';
import { startProxyWith, type StartedProxy } from './proxy.ts';

const LONG_MS = 600_000;
const answering: Behaviour = (query) => [addressAnswer(query)];

const long = (query: Buffer) => Buffer.concat([addressAnswer(query), Buffer.alloc(60_000)]);

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

const connections = (proxy: StartedProxy['proxy'], satisfies: (count: number) => boolean) =>
  until(() => Promise.resolve(proxy.tcp.connectionCount), satisfies);

test('who sends less than a message, or reads none, is closed in the end', async (t) => {
  const { proxy, port } = await startProxyWith(
    t,
    { tcpLimits: { mostConnections: 64, idleMs: 500 } },
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
  await connections(proxy, (count) => count > 0);
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

test('a whole zone that nobody reads does not pile up', async (t) => {
  const { proxy, port } = await startProxyWith(
    t,
    { tcpLimits: { mostConnections: 8, idleMs: LONG_MS } },
    (query) => Array.from({ length: 800 }, () => long(query)),
  );
  await open(t, port, question(['example', 'com'], 252));
  await connections(proxy, (count) => count === 1);
  await connections(proxy, (count) => count === 0);
  t.is(proxy.counters.refused, 1);
});

test('who asks and leaves takes no connection to a server from others', async (t) => {
  const { proxy, port, servers } = await startProxyWith(t, {}, (query) =>
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
    () => Promise.resolve(servers[0]?.asked.length),
    (count) => count === 256,
  );
  for (const socket of leaving) socket.resetAndDestroy();
  await connections(proxy, (count) => count === 0);
  t.is((await ask(port, { name: 'www.example.com', transport: 'tcp' })).status, 'NOERROR');
});
