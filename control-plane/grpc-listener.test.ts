import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Server } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { until } from '../test/until.ts';
import { type GrpcListener, listenGrpc } from './grpc-listener.ts';
import { ByteBudget } from './xds/byte-budget.ts';

const ECHO = '/test.Echo/Echo';
const same = (bytes: Buffer): Buffer => bytes;

interface Listening {
  readonly listener: GrpcListener;
  readonly held: ByteBudget;
}

async function listening(
  t: ExecutionContext,
  connections = { total: 10, perAddress: 10 },
  perCaller = 1 << 20,
): Promise<Listening> {
  const server = new Server();
  const method = {
    path: ECHO,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const;
  server.addService(
    { echo: method },
    { echo: (stream: NodeJS.ReadWriteStream) => stream.on('data', (bytes: Buffer) => stream.write(bytes)) },
  );
  const held = new ByteBudget({ perCaller, total: 2 * perCaller });
  const address = { host: '127.0.0.1', port: 0 };
  const listener = await listenGrpc(server, { what: 'the echo', address, connections, held });
  t.teardown(() => {
    listener.close();
    server.forceShutdown();
  });
  return { listener, held };
}

function session(t: ExecutionContext, { port }: GrpcListener): ClientHttp2Session {
  const opened = connectHttp2(`http://127.0.0.1:${port}`);
  opened.on('error', () => {});
  t.teardown(() => opened.destroy());
  return opened;
}

function call(opened: ClientHttp2Session, headers = {}): ClientHttp2Stream {
  const stream = opened.request({
    ':method': 'POST',
    ':path': ECHO,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  return stream;
}

function message(bytes: Buffer, { compressed = 0, length = bytes.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
}

async function dial(t: ExecutionContext, { port }: GrpcListener): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

test('given a message in pieces, counts what has come of it until it is complete', async (t) => {
  const { listener, held } = await listening(t);
  const stream = call(session(t, listener));
  const whole = message(Buffer.alloc(50_000, 'x'));
  stream.write(whole.subarray(0, 3));
  stream.write(whole.subarray(3, 20_000));
  await until(
    'the piece is counted',
    () => held.of('127.0.0.1'),
    (bytes) => bytes === 2 * 20_000,
  );
  stream.write(whole.subarray(20_000));
  const [echo] = (await once(stream, 'data')) as [Buffer];
  t.true(echo.length > 0);
  t.is(held.total, 0);
});

test('given incomplete messages on many streams, holds no more of them than the budget', async (t) => {
  const { listener, held } = await listening(t, undefined, 100_000);
  const opened = session(t, listener);
  const streams = Array.from({ length: 5 }, () => call(opened));
  for (const stream of streams) stream.write(message(Buffer.alloc(30_000), { length: 60_000 }));
  await until(
    'a stream is reset',
    () => listener.messages.refused.bytes,
    (refused) => refused > 0,
  );
  t.true(held.total <= 100_000);
  opened.destroy();
  await until(
    'nothing is held',
    () => held.total,
    (bytes) => bytes === 0,
  );
});

test('given a compressed message, resets the stream before it is decompressed', async (t) => {
  const { listener } = await listening(t);
  const stream = call(session(t, listener), { 'grpc-encoding': 'gzip' });
  stream.write(message(gzipSync(Buffer.alloc(1 << 20)), { compressed: 1 }));
  await new Promise((resolve) => stream.once('close', resolve));
  t.is(stream.rstCode, 11);
  t.is(listener.messages.refused.compressed, 1);
});

test('given connections that say nothing, a new one takes the place of the oldest', async (t) => {
  const { listener } = await listening(t, { total: 3, perAddress: 3 });
  const idle = [await dial(t, listener), await dial(t, listener), await dial(t, listener)];
  await until(
    'all are open',
    () => listener.connections.size,
    (size) => size === 3,
  );
  const stream = call(session(t, listener));
  stream.write(message(Buffer.from('hello')));
  await once(stream, 'data');
  t.is(listener.connections.size, 3);
  t.is(listener.connections.evicted, 1);
  await until(
    'the first connection is closed',
    () => idle[0]?.closed,
    (closed) => closed === true,
  );
});

test('given streams on all connections of an address, refuses one more', async (t) => {
  const { listener } = await listening(t, { total: 10, perAddress: 2 });
  for (let at = 0; at < 2; at += 1) {
    const stream = call(session(t, listener));
    stream.write(message(Buffer.from('hello')));
    await once(stream, 'data');
  }
  const refused = await dial(t, listener);
  await new Promise((resolve) => refused.once('close', resolve));
  t.is(listener.connections.refused.address, 1);
  t.is(listener.connections.size, 2);
});
