import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { readAll } from '../../test/forward/harness.ts';
import { streamAndPeer } from '../../test/forward/streams.ts';
import { until } from '../../test/until.ts';
import { BufferPool } from '../net/buffer-pool.ts';
import { Direction } from './direction.ts';
import { type TcpStream, WRITE_PENDING } from '../net/tcp.ts';
import { WriteCoalescer } from '../net/write-coalescer.ts';

const NOBODY = { writeFinished() {}, writeFailed() {} };

/** Writes until no more fits. Resolves to how much was written. */
function jam(stream: TcpStream): number {
  const bytes = Buffer.alloc(1024 * 1024, 'x');
  let written = bytes.length;
  while (stream.write(bytes, NOBODY) !== WRITE_PENDING) written += bytes.length;
  return written;
}

/** Has seen many writes in one turn, and so defers the next one. */
async function busyCoalescer(): Promise<WriteCoalescer> {
  const coalescer = new WriteCoalescer();
  for (let write = 0; write < 200; write++) coalescer.defer({ flush() {} });
  await nextTurn();
  return coalescer;
}

test('last bytes and the end at once, for a sink that is full: both arrive, the end last', async (t) => {
  const [source, sink] = [await streamAndPeer(t), await streamAndPeer(t)];
  // Both ways ended: then the system reports the end together with the last bytes.
  source.stream.shutdown();
  source.peer.resume();
  await once(source.peer, 'end');
  const jammed = jam(sink.stream);
  const ended = Promise.withResolvers<void>();
  let hasEnded = false;
  const direction = new Direction(
    source.stream,
    sink.stream,
    { pool: new BufferPool(), coalescer: await busyCoalescer() },
    {
      directionEnded() {
        hasEnded = true;
        sink.stream.shutdown();
        ended.resolve();
      },
      sourceFailed: (_direction, code) => ended.reject(new Error(code)),
      sinkFailed: (_direction, code) => ended.reject(new Error(code)),
    },
  );
  source.peer.end('tail');
  await once(source.peer, 'finish');
  direction.start();
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  t.is(direction.bytes, 4);
  t.false(hasEnded, 'while its bytes are on their way');
  const received = readAll(sink.peer);
  await ended.promise;
  const text = await received;
  t.is(text.length, jammed + 4);
  t.true(text.endsWith('tail'));
});

/** Defers every write until the test flushes it. */
class DeferAll extends WriteCoalescer {
  override defer(): boolean {
    return true;
  }
}

test('last bytes and a reset within one turn: the bytes come first', async (t) => {
  const [source, sink] = [await streamAndPeer(t), await streamAndPeer(t)];
  const failed = Promise.withResolvers<string>();
  const resources = { pool: new BufferPool(), coalescer: new DeferAll() };
  const direction = new Direction(source.stream, sink.stream, resources, {
    directionEnded: () => failed.resolve('end'),
    sourceFailed(_direction, code) {
      sink.stream.shutdown();
      failed.resolve(code);
    },
    sinkFailed: () => failed.resolve('sink'),
  });
  direction.start();
  source.peer.write('tail');
  await until(
    '4 copied bytes',
    () => direction.bytes,
    (bytes) => bytes >= 4,
  );
  source.peer.resetAndDestroy();
  t.is(await failed.promise, 'ECONNRESET');
  t.is(await readAll(sink.peer), 'tail');
});
