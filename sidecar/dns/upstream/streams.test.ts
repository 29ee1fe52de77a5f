import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { withLength } from '../message-splitter.ts';
import { ServerStream } from './streams.ts';

const QUERY = Buffer.from('the query');
const ANSWER = Buffer.from('the answer');

/** A stream to a server that has read the query, and what the stream reports. */
async function asking(t: ExecutionContext) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const reported: string[] = [];
  const failed = Promise.withResolvers<void>();
  const stream = new ServerStream({ address: '127.0.0.1', port }, QUERY, {
    message: (message) => reported.push(Buffer.from(message).toString()),
    failed: () => {
      reported.push('failed');
      failed.resolve();
    },
  });
  t.teardown(() => {
    stream.end();
    server.close();
  });
  const [connection] = (await once(server, 'connection')) as [Socket];
  connection.on('error', () => {});
  const [query] = (await once(connection, 'data')) as [Buffer];
  t.deepEqual(query, withLength(QUERY));
  return { reported, stream, connection, failed: failed.promise };
}

test('given messages in pieces, reports each whole, and then the end', async (t) => {
  const { reported, connection, failed } = await asking(t);
  const [head, rest] = [withLength(ANSWER).subarray(0, 5), withLength(ANSWER).subarray(5)];
  connection.write(head);
  await new Promise(setImmediate);
  connection.end(Buffer.concat([rest, withLength(Buffer.from('another'))]));
  await failed;
  t.deepEqual(reported, ['the answer', 'another', 'failed']);
});

for (const [how, endServer] of [
  ['closes', (connection: Socket) => connection.end(withLength(ANSWER).subarray(0, 5))],
  ['resets', (connection: Socket) => connection.resetAndDestroy()],
] as const) {
  test(`given a server that ${how} the connection before its answer, reports that it failed`, async (t) => {
    const { reported, connection, failed } = await asking(t);
    endServer(connection);
    await failed;
    t.deepEqual(reported, ['failed']);
  });
}

test('given a stream that its receiver ended, reports nothing', async (t) => {
  const { reported, stream, connection } = await asking(t);
  const closed = once(connection, 'close');
  stream.end();
  connection.write(withLength(ANSWER));
  await closed;
  t.deepEqual(reported, []);
});
