import { once } from 'node:events';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { streamAndPeer as pair } from '../../test/forward/streams.ts';
import { echo, endOf, HOST, startBackend } from '../../test/forward/harness.ts';
import {
  connectTcp,
  listenTcp,
  type StreamReader,
  type TcpStream,
  WRITE_FINISHED,
  WRITE_PENDING,
} from './tcp.ts';

/** Collects what a stream says, trading its buffer for the next after each read. */
class Recorder implements StreamReader {
  readonly events: string[] = [];
  readonly #buffers: Uint8Array[];
  #waiting = Promise.withResolvers<void>();

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = [...buffers];
  }

  read(length: number): Uint8Array | undefined {
    const used = this.#buffers.shift() ?? new Uint8Array();
    this.#say(Buffer.from(used.subarray(0, length)).toString());
    if (this.#buffers.length === 0) this.#buffers.push(used);
    return this.#buffers[0];
  }

  readEnded(): void {
    this.#say('end');
  }

  readFailed(code: string): void {
    this.#say(code);
  }

  async next(): Promise<void> {
    await this.#waiting.promise;
    this.#waiting = Promise.withResolvers();
  }

  #say(event: string): void {
    this.events.push(event);
    this.#waiting.resolve();
  }
}

const NOBODY = { writeFinished() {}, writeFailed() {} };
/** Kept here, because streams keep nothing that they read into or write. */
const BUFFER = new Uint8Array(16);
/** More than the kernel takes while nobody reads. */
const LONG = Buffer.alloc(32 * 1024 * 1024, 'x');

test('reads go to the given buffer, and to the one returned after that', async (t) => {
  const { stream, peer } = await pair(t);
  const buffers = [new Uint8Array(16), new Uint8Array(16), new Uint8Array(16)];
  const recorder = new Recorder(buffers);
  stream.attach(recorder, buffers[0] ?? new Uint8Array());
  stream.startReading();
  for (const word of ['one', 'two', 'three']) {
    peer.write(word);
    await recorder.next();
  }
  peer.end();
  await recorder.next();
  t.deepEqual(recorder.events, ['one', 'two', 'three', 'end']);
  t.deepEqual(
    buffers.map((buffer) => Buffer.from(buffer).toString().replaceAll('\0', '')),
    ['one', 'two', 'three'],
  );
});

test('a buffer given between two reads takes the next bytes; the one before stays as it is', async (t) => {
  const { stream, peer } = await pair(t);
  const buffers = [new Uint8Array(16), new Uint8Array(4), new Uint8Array(16)] as const;
  const lengths: number[] = [];
  let arrived = Promise.withResolvers<void>();
  const reader: StreamReader = {
    read(length) {
      lengths.push(length);
      arrived.resolve();
      return undefined;
    },
    readEnded: () => arrived.resolve(),
    readFailed: (code) => arrived.reject(new Error(code)),
  };
  stream.attach(reader, buffers[0]);
  stream.startReading();
  for (const [index, word] of ['one', 'two', 'three'].entries()) {
    stream.useBuffer(buffers[index] ?? new Uint8Array());
    arrived = Promise.withResolvers();
    peer.write(word);
    await arrived.promise;
  }
  arrived = Promise.withResolvers();
  peer.end();
  await arrived.promise;
  t.deepEqual(lengths, [3, 3, 5]);
  t.deepEqual(
    buffers.map((buffer) => Buffer.from(buffer).toString().replaceAll('\0', '')),
    ['one', 'two', 'three'],
  );
  stream.close();
  stream.useBuffer(buffers[0]);
});

test('nothing is read before startReading, nor after stopReading', async (t) => {
  const { stream, peer } = await pair(t);
  const recorder = new Recorder([BUFFER]);
  stream.attach(recorder, BUFFER);
  peer.write('early');
  stream.startReading();
  stream.stopReading();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.deepEqual(recorder.events, []);
  stream.startReading();
  await recorder.next();
  t.is(recorder.events.length, 1);
});

test('a write that fits is finished at once; one that does not is pending until the peer reads', async (t) => {
  const { stream, peer } = await pair(t);
  const finished = Promise.withResolvers<void>();
  const writer = { ...NOBODY, writeFinished: finished.resolve };
  t.is(stream.write(Buffer.from('small'), writer), WRITE_FINISHED);
  const bytes = Buffer.alloc(1024 * 1024, 'x');
  let sent = 5;
  for (let result = WRITE_FINISHED; result === WRITE_FINISHED; sent += bytes.length) {
    result = stream.write(bytes, writer);
    t.true(result === WRITE_FINISHED || result === WRITE_PENDING);
  }
  let received = 0;
  peer.on('data', (chunk) => (received += chunk.length));
  peer.resume();
  await finished.promise;
  stream.shutdown();
  await once(peer, 'end');
  t.is(received, sent);
});

test('of a pending write, what the kernel has not taken yet: all else arrives, and none is left once it has finished', async (t) => {
  const { stream, peer } = await pair(t);
  const finished = Promise.withResolvers<void>();
  const writer = { ...NOBODY, writeFinished: finished.resolve };
  t.is(stream.write(LONG, writer), WRITE_PENDING);
  const unsent = stream.unsentBytes;
  t.true(unsent > 0 && unsent < LONG.length);
  let received = 0;
  peer.on('data', (chunk) => (received += chunk.length));
  peer.resume();
  await finished.promise;
  t.is(stream.unsentBytes, 0);

  peer.pause();
  t.is(stream.write(LONG, writer), WRITE_PENDING);
  const sent = 2 * LONG.length - stream.unsentBytes;
  stream.close();
  peer.resume();
  await once(peer, 'end');
  t.is(received, sent);
});

test('what had come before a write failed is read after that, and then an end', async (t) => {
  const { stream, peer } = await pair(t);
  const recorder = new Recorder([BUFFER]);
  const failed = Promise.withResolvers<void>();
  stream.attach(recorder, BUFFER);
  stream.startReading();
  const writer = {
    writeFinished: () => t.fail(),
    writeFailed: () => {
      t.is(stream.unsentBytes, 0);
      failed.resolve();
    },
  };
  t.is(stream.write(LONG, writer), WRITE_PENDING);
  peer.write('no room');
  // Without having read what came: the kernel resets.
  peer.destroy();
  await failed.promise;
  while (recorder.events.length < 2) await recorder.next();
  t.is(recorder.events.length, 2);
});

test('a write after the peer reset fails with an errno', async (t) => {
  const { stream, peer } = await pair(t);
  const recorder = new Recorder([BUFFER]);
  stream.attach(recorder, BUFFER);
  stream.startReading();
  peer.resetAndDestroy();
  await recorder.next();
  t.deepEqual(recorder.events, ['ECONNRESET']);
  t.true(stream.write(Buffer.from('x'), NOBODY) < 0);
});

test('shutdown: the peer sees an end and can still send', async (t) => {
  const { stream, peer } = await pair(t);
  const recorder = new Recorder([BUFFER]);
  stream.attach(recorder, BUFFER);
  stream.startReading();
  stream.shutdown();
  t.is(await endOf(peer), 'end');
  peer.end('answer');
  await recorder.next();
  t.is(recorder.events.length, 1);
});

test('close: the peer sees an end; reset: the peer sees a reset; also while connecting, and twice', async (t) => {
  const closing = await pair(t);
  closing.stream.close();
  closing.stream.reset();
  t.is(await endOf(closing.peer), 'end');
  const resetting = await pair(t);
  resetting.stream.reset();
  resetting.stream.close();
  t.is(await endOf(resetting.peer), 'ECONNRESET');
  const backend = await startBackend(t, echo);
  const waiter = { connected: () => t.fail(), connectFailed: () => t.fail() };
  connectTcp({ address: HOST, port: backend }, waiter).reset();
  connectTcp({ address: 'no address', port: backend }, waiter).close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.pass();
});

test('a listener accepts, says where it listens and who came, and stops', async (t) => {
  const accepted = Promise.withResolvers<TcpStream>();
  const result = listenTcp(
    { address: HOST, port: 0 },
    { accepted: accepted.resolve, acceptFailed: accepted.reject },
  );
  if (!result.ok) throw new Error(result.code);
  const { listener } = result;
  const peer = connect(listener.address.port, HOST);
  const stream = await accepted.promise;
  t.is(listener.address.address, HOST);
  t.deepEqual({ ...stream.remoteAddress() }.port, peer.localPort);
  stream.close();
  t.is(await endOf(peer), 'end');
  listener.close();
  const [error] = (await once(connect(listener.address.port, HOST), 'error')) as [NodeJS.ErrnoException];
  t.is(error.code, 'ECONNREFUSED');
});

/** Connects, reads as fast as it can until it is reset, and begins again. */
const READER = `
const { connect } = require('node:net');
const { workerData: port } = require('node:worker_threads');
const again = () => {
  connect({ port, host: '${HOST}', onread: { buffer: Buffer.alloc(4 << 20), callback: () => true } })
    .on('error', () => {}).on('close', again);
};
again();`;

test('after a reset the writer hears no more, also of a write that the kernel had taken by then', async (t) => {
  const bytes = Buffer.alloc(3_000_000);
  const done = Promise.withResolvers<void>();
  let [pending, heardAfterReset] = [0, 0];
  const heard = (): void => void heardAfterReset++;
  const writer = { writeFinished: heard, writeFailed: heard };
  const accepted = (stream: TcpStream): void => {
    let result = WRITE_FINISHED;
    for (let write = 0; write < 20 && result === WRITE_FINISHED; write++)
      result = stream.write(bytes, writer);
    stream.reset();
    // By far enough for some of them to be taken meanwhile: how many depends on who is faster.
    if (result === WRITE_PENDING && ++pending === 200) done.resolve();
  };
  const result = listenTcp({ address: HOST, port: 0 }, { accepted, acceptFailed: done.reject });
  if (!result.ok) throw new Error(result.code);
  const worker = new Worker(READER, { eval: true, workerData: result.listener.address.port });
  await done.promise;
  await worker.terminate();
  result.listener.close();
  t.is(heardAfterReset, 0);
});
