/** What is asked by TCP, before servers that are slow, silent, lying or gone. */
import { tracingChannel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { until } from '../until.ts';
import { ask } from './ask.ts';
import { addressAnswer, type Behaviour, framed, rcodeAnswer } from './name-server.ts';
import { type StartedProxy, startProxy, startProxyWith } from './proxy.ts';

const answering: Behaviour = (query) => [addressAnswer(query)];
const silent: Behaviour = () => [];
const refusing: Behaviour = (query) => [rcodeAnswer(query, 5)];
const LONG_MS = 600_000;
/** Whatever is under way stays so. */
const WAITING = { streamTimes: { attemptMs: LONG_MS, answerMs: LONG_MS } };
const HELLO = 'hello.demo.svc.cluster.local';
const [IXFR, AXFR] = [251, 252];

function askByTcp(port: number, name = 'www.example.com'): ReturnType<typeof ask> {
  return ask(port, { name, transport: 'tcp', timeoutMs: 20_000 });
}

function question(name: string, type = 1): Buffer {
  return Buffer.from(queryFor(name.split('.'), type));
}

async function open(t: ExecutionContext, port: number, ...queries: readonly Buffer[]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(Buffer.concat(queries.map(framed)));
  return socket;
}

/** So many bytes, and no more for a moment. */
async function bytesFrom(socket: Socket, count: number): Promise<Buffer> {
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  while (Buffer.concat(received).length < count) await once(socket, 'data');
  await delay(50);
  return Buffer.concat(received);
}

function requestsCounted({ counters }: StartedProxy['proxy']): number {
  return [...counters.requests].reduce((sum, { value }) => sum + value, 0);
}

const underWay = ({ forwarder }: StartedProxy['proxy'], expected: number) =>
  until(
    `${expected} queries under way`,
    () => forwarder,
    ({ flightCount, waitingCount }) => flightCount === expected && waitingCount >= expected,
  );

test.serial('connections that cannot be accepted do not end it', async (t) => {
  const listening = new Set<Server>();
  const channel = tracingChannel('net.server.listen');
  const heard = { asyncEnd: ({ server }: { server: Server }) => listening.add(server) };
  channel.subscribe(heard as never);
  const { port } = await startProxy(t, answering);
  channel.unsubscribe(heard as never);
  const server = [...listening].find((each) => (each.address() as { port: number } | null)?.port === port);
  // The system has no want of buffers that a test could bring about: this is how Node tells of it.
  for (let count = 0; count < 3; count++) server?.emit('error', new Error('accept ENFILE'));
  t.not(server, undefined);
  t.is((await ask(port, { name: HELLO, transport: 'tcp' })).status, 'NOERROR');
});

test('an answer ends what is under way, whatever was asked', async (t) => {
  const header = Buffer.alloc(12);
  const update = question('example.com').with(2, 0x28);
  const newerEdns = Buffer.concat([
    question('example.com').with(11, 1),
    Buffer.from([0, 0, 41, 4, 0xd0, 0, 1, 0, 0, 0, 0]),
  ]);
  const asked = [header, Buffer.from(update), newerEdns];
  const { proxy, port } = await startProxyWith(t, WAITING, (query) =>
    query.readUInt16BE(4) === 0 ? [Buffer.from(query.with(2, 0x80))] : answering(query, 'tcp'),
  );
  const queries = Array.from({ length: 16 }, (_, index) => asked[index % asked.length] ?? header);
  const connections = await Promise.all(Array.from({ length: 16 }, () => open(t, port, ...queries)));
  await Promise.all(connections.map((socket) => once(socket, 'data')));
  await underWay(proxy, 0);
  t.is((await askByTcp(port)).status, 'NOERROR');
  t.is(proxy.counters.refused, 0);
});

for (const [name, type] of [
  ['AXFR', AXFR],
  ['IXFR', IXFR],
] as const) {
  test(`given a query of type ${name}, refuses it without asking a server`, async (t) => {
    const { port, servers } = await startProxy(t, answering);
    const query = question('example.com', type);
    // The zone that the client has, as IXFR names it (RFC 1995, 3); an AXFR with it is refused as well.
    const held = Buffer.concat([
      query.subarray(12, query.length - 4),
      Buffer.from([0, 6, 0, 1, 0, 0, 0, 0, 0, 0]),
    ]);
    for (const transport of [query, Buffer.concat([Buffer.from(query.with(9, 1)), held])]) {
      const answer = await bytesFrom(await open(t, port, transport), 2);
      t.is(answer.readUInt16BE(4) & 0xf, 5);
    }
    t.is(servers[0]?.asked.length, 0);
  });
}

test('what many wait for makes room as one, and takes from nobody else', async (t) => {
  const { proxy, port } = await startProxyWith(t, WAITING, silent);
  for (let index = 0; index < 32; index++) {
    const queries = Array.from({ length: 16 }, (_, count) => question(`x${index % 16}-${count}.example.com`));
    await open(t, port, ...queries);
  }
  await until(
    '256 queries under way, and 512 clients waiting',
    () => proxy.forwarder,
    ({ flightCount, waitingCount }) => flightCount === 256 && waitingCount === 512,
  );
  await open(t, port, question('one-more.example.com'));
  await until(
    'a refused query',
    () => proxy.counters,
    ({ refused }) => refused > 0,
  );
  t.is(proxy.counters.refused, 2, 'both of those who asked that');
  t.is(proxy.forwarder.flightCount, 256);
});

test('room is made by whoever has most under way', async (t) => {
  const { proxy, port } = await startProxyWith(t, WAITING, silent);
  const patient = await open(t, port, question('patient.example.com'));
  await underWay(proxy, 1);
  for (let index = 0; index < 20; index++) {
    const queries = Array.from({ length: 16 }, (_, count) => question(`x${index}-${count}.example.com`));
    await open(t, port, ...queries);
  }
  await until(
    '65 refused queries',
    () => proxy.counters,
    ({ refused }) => refused === 321 - 256,
  );
  t.is(patient.readableLength, 0, 'it was answered nothing, and waits');
  t.is(proxy.forwarder.flightCount, 256);
});

test('who leaves waits no longer, and takes the answer from nobody', async (t) => {
  const answered = Promise.withResolvers<void>();
  const { proxy, port } = await startProxyWith(t, WAITING, async (query) => {
    await answered.promise;
    return [addressAnswer(query)];
  });
  const shared = question('www.example.com');
  const leaving = await Promise.all(
    Array.from({ length: 20 }, (_, index) => open(t, port, question(`x${index}.example.com`), shared)),
  );
  const staying = await open(t, port, shared);
  await until(
    '21 queries under way, and 41 clients waiting',
    () => proxy.forwarder,
    ({ flightCount, waitingCount }) => flightCount === 21 && waitingCount === 41,
  );
  t.is(proxy.view().waiting, 21);
  for (const socket of leaving) socket.resetAndDestroy();
  await underWay(proxy, 1);
  t.is(proxy.forwarder.waitingCount, 1);
  answered.resolve();
  t.is((await bytesFrom(staying, 1)).readUInt16BE(4) & 0xf, 0);
  t.is(requestsCounted(proxy), 1);
});

test('a server that lies for ever does not keep its asker from an answer', async (t) => {
  const { proxy, port, servers } = await startProxy(t, silent);
  const answer = askByTcp(port);
  const [server] = servers;
  const timer = setInterval(() => server?.sendToAll(framed(Buffer.alloc(12))), 200);
  t.teardown(() => clearInterval(timer));
  t.is((await answer).status, 'SERVFAIL');
  t.true(proxy.counters.mismatched > 5);
  t.is(proxy.forwarder.flightCount, 0);
});

test('silent servers are passed over, and where all are, that is said while somebody listens', async (t) => {
  const good = await startProxy(t, silent, answering);
  t.is((await askByTcp(good.port)).status, 'NOERROR');
  t.is(good.proxy.counters.retries, 1);
  const none = await startProxyWith(t, { tcpLimits: { idleMs: 500 } }, silent, silent);
  t.is((await askByTcp(none.port)).status, 'SERVFAIL');
  t.deepEqual(
    none.servers.map(({ asked }) => asked.length),
    [1, 1],
  );
});

test('a server that takes longer than it may is heard by TCP as well', async (t) => {
  const asked = Promise.withResolvers<void>();
  const slow: Behaviour = async (query) => {
    await asked.promise;
    return [addressAnswer(query)];
  };
  const { port } = await startProxy(t, slow, () => {
    asked.resolve();
    return [];
  });
  t.is((await askByTcp(port)).status, 'NOERROR');
});

test('a refusal by TCP is passed over where another server may know better', async (t) => {
  const { port, servers } = await startProxy(t, refusing, answering);
  t.is((await askByTcp(port)).status, 'NOERROR');
  const [, second] = servers;
  if (second !== undefined) second.behave = refusing;
  t.is((await askByTcp(port, 'other.example.com')).status, 'REFUSED');
});

test('a server that does no TCP is none the worse by UDP', async (t) => {
  const { proxy, port, servers } = await startProxy(t, answering);
  servers[0]?.closeTcp();
  for (let time = 0; time < 4; time++) t.is((await askByTcp(port)).status, 'SERVFAIL');
  t.deepEqual(
    proxy.view().upstreams.map(({ isDown }) => isDown),
    [false],
  );
  t.is((await ask(port, { name: 'www.example.com', transport: 'udp-only' })).status, 'NOERROR');
});

test('where no server answers by TCP, an old answer is given, and then at once, until there is a new one', async (t) => {
  const streamTimes = { attemptMs: 100, answerMs: LONG_MS };
  const { proxy, port, servers } = await startProxyWith(t, { streamTimes }, (query) => [
    addressAnswer(query, { ttl: 1 }),
  ]);
  t.deepEqual((await askByTcp(port)).ttls, [1]);
  await delay(1_100);
  const answered = Promise.withResolvers<void>();
  const [server] = servers;
  if (server !== undefined) {
    server.behave = async (query) => {
      await answered.promise;
      return [addressAnswer(query, { count: 2 })];
    };
  }
  for (let time = 0; time < 3; time++) t.deepEqual((await askByTcp(port)).ttls, [30]);
  t.is(proxy.forwarder.flightCount, 1, 'it is still waited for');
  t.is(proxy.forwarder.waitingCount, 0);
  t.is(server?.asked.length, 2);
  answered.resolve();
  await underWay(proxy, 0);
  t.is((await askByTcp(port)).answer.length, 2);
});

test('those that nobody waits for make room first', async (t) => {
  const streamTimes = { ...WAITING.streamTimes, attemptMs: 100 };
  const { proxy, port, servers } = await startProxyWith(t, { streamTimes }, (query) => [
    addressAnswer(query, { ttl: 1 }),
  ]);
  t.deepEqual((await askByTcp(port)).ttls, [1]);
  await delay(1_100);
  const [server] = servers;
  if (server !== undefined) server.behave = silent;
  t.deepEqual((await askByTcp(port)).ttls, [30]);
  for (let index = 0; index < 16; index++) {
    await open(
      t,
      port,
      ...Array.from({ length: 16 }, (_, count) => question(`x${index}-${count}.example.com`)),
    );
  }
  await until(
    '256 clients waiting',
    () => proxy.forwarder,
    ({ waitingCount }) => waitingCount === 256,
  );
  t.is(proxy.forwarder.flightCount, 256);
  t.is(proxy.counters.refused, 0);
  t.deepEqual((await askByTcp(port)).ttls, [30], 'though there is no room to ask');
});
