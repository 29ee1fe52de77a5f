import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../../test/until.ts';
import { withLength } from '../message-splitter.ts';
import { ServerStream } from './streams.ts';

const QUERY = Buffer.from('the query');
const numbered = (count: number, bytes = 5) =>
  Array.from({ length: count }, (_, index) => withLength(Buffer.alloc(bytes, index + 1)));

/** What a stream tells that is paused after each message, and the server's end of it. */
async function pausing(t: ExecutionContext) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const told: string[] = [];
  const ended = Promise.withResolvers<void>();
  const stream: ServerStream = new ServerStream({ address: '127.0.0.1', port }, QUERY, {
    message: (message) => {
      stream.pause();
      told.push(String(message[0]));
    },
    ended: () => {
      told.push('ended');
      ended.resolve();
    },
  });
  t.teardown(() => {
    stream.end();
    server.close();
  });
  const [connection] = (await once(server, 'connection')) as [Socket];
  connection.on('error', () => {});
  await once(connection, 'data');
  return { told, stream, connection, ended: ended.promise };
}

for (const [how, endServer] of [
  ['ends', (connection: Socket) => connection.end()],
  ['resets', (connection: Socket) => connection.resetAndDestroy()],
] as const) {
  test(`what has come while it was paused is told before the end: the server ${how}`, async (t) => {
    const { told, stream, connection } = await pausing(t);
    const [first, ...others] = numbered(4);
    connection.write(first!);
    await until(
      'the first message',
      () => told,
      ({ length }) => length > 0,
    );
    connection.write(Buffer.concat(others), () => endServer(connection));
    await delay(100);
    t.deepEqual(told, ['1']);
    while (told.at(-1) !== 'ended') {
      const { length } = told;
      stream.resume();
      await turn();
      t.true(told.length <= length + 1, 'one at a time');
    }
    t.deepEqual(told, ['1', '2', '3', '4', 'ended']);
  });
}

test('what comes in many reads is whole, in order, and one at a time', async (t) => {
  const { told, stream, connection, ended } = await pausing(t);
  connection.end(Buffer.concat(numbered(200, 60_000)));
  const timer = setInterval(() => stream.resume(), 1);
  await ended;
  clearInterval(timer);
  t.deepEqual(told, [...Array.from({ length: 200 }, (_, index) => String(index + 1)), 'ended']);
});

test('ended by who asks, it tells nothing more', async (t) => {
  const { told, stream, connection } = await pausing(t);
  connection.write(Buffer.concat(numbered(3)));
  await until(
    'the first message',
    () => told,
    ({ length }) => length > 0,
  );
  stream.end();
  stream.resume();
  await delay(50);
  t.deepEqual(told, ['1']);
});
