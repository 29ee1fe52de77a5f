/** One who sends the DNS proxy whatever it can, and another beside it who only asks what it needs. */
import { createSocket, type Socket } from 'node:dgram';
import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { until } from '../until.ts';
import { ask } from './ask.ts';
import { addressAnswer, type Behaviour, framed } from './name-server.ts';
import { type StartedProxy, startProxy } from './proxy.ts';

const FLOOD = 'flood';
const HELLO = 'hello.demo.svc.cluster.local';
/** More than the proxy lets anybody, and all together, have under way. */
const UNCACHED = 12_000;

/** Never answers a flood: all of it is under way for as long as it may be. */
const patient: Behaviour = (query) =>
  query.subarray(13, 13 + FLOOD.length).toString() === FLOOD ? [] : [addressAnswer(query)];

/**
 * Random, one byte of a query another, and names that nobody has asked for yet: as many as it takes until the proxy has
 * refused and ignored some, however many the kernel drops.
 */
async function flood(sockets: readonly Socket[], { port, proxy }: StartedProxy): Promise<void> {
  const known = queryFor(['hello', 'demo', 'svc', 'cluster', 'local'], 1);
  const { counters } = proxy;
  for (let index = 0; index < UNCACHED || counters.refused === 0 || counters.ignored === 0; index++) {
    const socket = sockets[index % sockets.length];
    if (isClosed(socket)) return;
    socket?.send(queryFor([`${FLOOD}${index}`, 'example', 'com'], 1), port, '127.0.0.1');
    if (index % 4 === 0) socket?.send(randomBytes(randomInt(1, 600)), port, '127.0.0.1');
    if (index % 4 === 1) socket?.send(known.with(randomInt(known.length), randomInt(256)), port, '127.0.0.1');
    // Faster, and the kernel throws most of it away, and what the proxy asks the server beside it.
    if (index % 20 === 0) await delay(1);
  }
}

/** With the test that opened it. */
const closed = new WeakSet<Socket>();
const isClosed = (socket: Socket | undefined) => socket !== undefined && closed.has(socket);

function openSockets(t: ExecutionContext, count: number): readonly Socket[] {
  const sockets = Array.from({ length: count }, () => createSocket('udp4'));
  for (const socket of sockets) socket.on('message', () => {});
  t.teardown(() => {
    for (const socket of sockets) {
      closed.add(socket);
      socket.close();
    }
  });
  return sockets;
}

/** The kernel drops some of what comes to a socket that is flooded. */
function askPatiently(port: number, name: string): ReturnType<typeof ask> {
  return ask(port, { name, tries: 10, timeoutMs: 2_000 });
}

const nothingWaits = ({ forwarder }: StartedProxy['proxy']) =>
  until(
    'no query under way or waiting',
    () => forwarder,
    ({ flightCount, waitingCount, waitingBytes }) => flightCount + waitingCount + waitingBytes === 0,
  );

test.serial('whoever asks beside one who floods is answered', async (t) => {
  const started = await startProxy(t, patient);
  const { proxy, port } = started;
  const state = { isOver: false, asked: 0 };
  const flooded = flood(openSockets(t, 1), started).finally(() => {
    state.isOver = true;
  });
  while (!state.isOver || state.asked < 5) {
    const name = `polite${state.asked++}.example.com`;
    t.is((await askPatiently(port, name)).status, 'NOERROR', name);
    t.is((await askPatiently(port, HELLO)).status, 'NOERROR');
    // The other's are 1,024.
    t.true(proxy.forwarder.flightCount < 1_200, `${proxy.forwarder.flightCount} under way`);
  }
  await flooded;
  await nothingWaits(proxy);
});

test.serial('where a hundred flood, the table answers, and so do servers once that is over', async (t) => {
  const started = await startProxy(t, patient);
  const { proxy, port } = started;
  const flooded = flood(openSockets(t, 100), started);
  t.is((await askPatiently(port, HELLO)).status, 'NOERROR');
  await flooded;
  t.true(proxy.forwarder.flightCount <= 8_192);
  await nothingWaits(proxy);
  t.is((await askPatiently(port, 'polite.example.com')).status, 'NOERROR');
});

test.serial('however many wait for one name, or send long queries, only so many do', async (t) => {
  const { proxy, port } = await startProxy(t, patient);
  const same = queryFor([FLOOD, 'example', 'com'], 1);
  const long = Buffer.concat([queryFor([`${FLOOD}-long`, 'example', 'com'], 1), Buffer.alloc(3_900)]);
  const sockets = openSockets(t, 20);
  // The kernel drops some of them: it goes on until there are too many.
  for (let index = 0; index < 12_000 || proxy.counters.refused === 0; index++) {
    const [socket, bytes] = [sockets[index % sockets.length], index % 3 === 0 ? long : same];
    if (isClosed(socket)) return;
    socket?.send(bytes, port, '127.0.0.1');
    if (index % 50 === 0) await delay(1);
  }
  t.true(proxy.forwarder.waitingCount <= 8_192);
  t.true(proxy.forwarder.waitingBytes <= (4 << 20) + 4_096);
  t.is((await askPatiently(port, 'polite.example.com')).status, 'NOERROR');
});

test.serial('whoever asks by TCP beside those who flood is answered', async (t) => {
  const { port } = await startProxy(t, patient);
  // More than one connection may have under way, and all of them together.
  const connections = Array.from({ length: 24 }, () => connect(port, '127.0.0.1'));
  t.teardown(() => connections.forEach((connection) => connection.destroy()));
  let refused = 0;
  for (const [index, connection] of connections.entries()) {
    connection.on('data', () => refused++);
    for (let count = 0; count < 100; count++) {
      connection.write(framed(queryFor([`${FLOOD}${index}-${count}`, 'example', 'com'], 1)));
    }
  }
  await until(
    'a refused query',
    async () => refused,
    (count) => count > 0,
  );
  for (let asked = 0; asked < 5; asked++) {
    const name = `polite${asked}.example.com`;
    t.is((await ask(port, { name, transport: 'tcp' })).status, 'NOERROR');
  }
});
