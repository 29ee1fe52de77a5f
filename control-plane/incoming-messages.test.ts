import { once } from 'node:events';
import { type ClientHttp2Stream, connect, createServer, type ServerHttp2Stream } from 'node:http2';
import test, { type ExecutionContext } from 'ava';
import { until } from '../test/until.ts';
import { IncomingMessages } from './incoming-messages.ts';
import { ByteBudget } from './xds/byte-budget.ts';

const PREFIX_BYTES = 5;

/** A gRPC message of so many bytes, not compressed. */
function message(bytes: number): Buffer {
  const framed = Buffer.alloc(PREFIX_BYTES + bytes, 'x');
  framed[0] = 0;
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

function closed(stream: ClientHttp2Stream): Promise<unknown> {
  return new Promise((resolve) => stream.once('close', resolve));
}

/** Streams of one client to a server that watches them. */
async function watched(t: ExecutionContext, messageMs: number) {
  const held = new ByteBudget({ perCaller: 1 << 20, total: 1 << 20 });
  const messages = new IncomingMessages({ held, messageMs });
  let received = 0;
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    messages.watch(stream, 'someone');
    stream.on('data', (bytes: Buffer) => (received += bytes.length));
    stream.respond();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  const open = (): ClientHttp2Stream => {
    const stream = client.request({ ':method': 'POST' }, { endStream: false });
    stream.on('error', () => {});
    return stream;
  };
  const arrived = (bytes: number) =>
    until(
      `${bytes} bytes at the server`,
      () => received,
      (count) => count >= bytes,
    );
  return { messages, held, open, arrived };
}

test('given a message that came in two pieces, leaves its stream open after the time for one', async (t) => {
  const { messages, held, open, arrived } = await watched(t, 50);
  const [whole, cut] = [open(), open()];
  const bytes = message(100);
  whole.write(bytes.subarray(0, 20));
  await arrived(20);
  whole.write(bytes.subarray(20));
  await arrived(bytes.length);
  t.is(held.total, 0);
  // Begun later, so that a timer of the first stream would have expired before this one's.
  cut.write(bytes.subarray(0, 20));
  await closed(cut);
  t.deepEqual(messages.refused, { compressed: 0, bytes: 0, slow: 1 });
  t.false(whole.closed);
});

test('given a compressed message, resets its stream', async (t) => {
  const { messages, open } = await watched(t, 60_000);
  const stream = open();
  stream.write(Buffer.from([1, 0, 0, 0, 1, 0]));
  await closed(stream);
  t.deepEqual(messages.refused, { compressed: 1, bytes: 0, slow: 0 });
});
