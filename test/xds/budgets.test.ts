import test from 'ava';
import type { ExecutionContext } from 'ava';
import { status } from '@grpc/grpc-js';
import type { Limits } from '../../control-plane/xds/limits.ts';
import { until } from '../until.ts';
import { deltaStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';

/** A paused gRPC client still takes 16 messages: what is to wait at the server has to be more, in responses of 64 KiB. */
const MORE_THAN_PAUSED_CLIENTS_TAKE = 40;

/** Callers are told apart by a header, as they will be by their credentials. */
async function serveFor(t: ExecutionContext, limits: Partial<Limits>): Promise<Serving> {
  const serving = await serve({
    limits: { firstRequestMs: 60_000, ...limits },
    identify: (call) => {
      const [account = ''] = call.metadata.get('user-agent').map((agent) => String(agent).split(' ')[0]);
      return { ok: { name: account ?? '', account: account ?? '' } };
    },
  });
  t.teardown(() => serving.stop());
  return serving;
}

function connect(t: ExecutionContext, serving: Serving, caller: string, options = {}): DeltaStream {
  const stream = deltaStream(serving.address, { 'grpc.primary_user_agent': caller, ...options });
  t.teardown(() => stream.close());
  return stream;
}

/** Each fills a response of its own. */
function largeResources(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`${at}`, 'x'.repeat(50_000)]));
}

function longNames(stream: number): string[] {
  return Array.from({ length: 1000 }, (_, at) => `${stream}/${at}/`.padEnd(300, 'x'));
}

test('given many streams with long names, one caller holds its share and another is served', async (t) => {
  const serving = await serveFor(t, { heldBytesPerCaller: 1 << 20, heldBytes: 4 << 20 });
  const streams = Array.from({ length: 6 }, () => connect(t, serving, 'greedy'));
  streams.forEach((stream, at) => stream.send({ typeUrl: T, resourceNamesSubscribe: longNames(at) }));
  const refused = await Promise.race(streams.map(({ ended }) => ended));
  t.is(refused.code, status.RESOURCE_EXHAUSTED);
  t.regex(
    refused.details,
    /more than 1048576 bytes \(CORTEXFLOW_HELD_BYTES_PER_CALLER\): subscribe to less/u,
  );
  t.true(serving.engine.held.total <= 1 << 20);
  t.true(serving.engine.counters.callerBytesRefused > 0);
  const other = connect(t, serving, 'modest');
  other.send({ typeUrl: T, resourceNamesSubscribe: longNames(7) });
  t.true((await other.next()).removedResources.length > 0);
  for (const stream of [...streams, other]) stream.close();
  await until(
    'nothing is held',
    () => serving.engine.held.total,
    (bytes) => bytes === 0,
  );
});

test('given all callers together at the limit of the process, refuses one more', async (t) => {
  const serving = await serveFor(t, { heldBytesPerCaller: 1 << 20, heldBytes: 1 << 20 });
  const streams = Array.from({ length: 6 }, (_, at) => connect(t, serving, `caller-${at}`));
  streams.forEach((stream, at) => stream.send({ typeUrl: T, resourceNamesSubscribe: longNames(at) }));
  const refused = await Promise.race(streams.map(({ ended }) => ended));
  t.regex(refused.details, /\(CORTEXFLOW_HELD_BYTES\): try again/u);
  t.true(serving.engine.counters.processBytesRefused > 0);
});

test('given made-up types, counts what each of them costs', async (t) => {
  const serving = await serveFor(t, { heldBytesPerCaller: 1 << 18 });
  const streams = Array.from({ length: 3 }, () => connect(t, serving, 'inventive'));
  for (const [nth, stream] of streams.entries()) {
    for (let at = 0; at < 30; at += 1) stream.send({ typeUrl: `made.Up${nth}-${at}` });
  }
  t.is((await Promise.race(streams.map(({ ended }) => ended))).code, status.RESOURCE_EXHAUSTED);
});

test('given invented claims, holds the bytes of their names until they are sent as removed', async (t) => {
  const serving = await serveFor(t, {});
  serving.resources.put(T, { a: '1' });
  // 2 MB, in some 30 responses.
  const names = Array.from({ length: 20_000 }, (_, at) => `invented/${at}`.padEnd(100, 'x'));
  const nameBytes = names.reduce((sum, { length }) => sum + length + 2, 0);
  const stream = connect(t, serving, 'one', { 'grpc-node.flow_control_window': 4096 });
  stream.pause();
  stream.send({
    typeUrl: T,
    initialResourceVersions: Object.fromEntries(names.map((name) => [name, '0'.repeat(16)])),
  });
  await until(
    'the claims are read',
    () => serving.engine.counters.streamsBehind,
    (behind) => behind === 1,
  );
  t.true(serving.engine.held.total < nameBytes + 20_000, `${serving.engine.held.total} bytes`);
  stream.resume();
  const removed = new Set<string>();
  while (removed.size < names.length) {
    const { removedResources, nonce } = await stream.next();
    for (const name of removedResources) removed.add(name);
    stream.send({ typeUrl: T, responseNonce: nonce });
  }
  await until(
    'no names are held',
    () => serving.engine.held.total,
    (bytes) => bytes < 20_000,
  );
});

test('given a long request and a short one after it, keeps their order', async (t) => {
  const serving = await serveFor(t, {});
  serving.resources.put(T, { a: '1', b: '2' });
  const stream = connect(t, serving, 'one');
  const claims = Array.from({ length: 5000 }, (_, at) => [`invented/${at}`, '0'.repeat(16)]);
  stream.send({
    typeUrl: T,
    resourceNamesSubscribe: ['a', 'b'],
    initialResourceVersions: Object.fromEntries(claims),
  });
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['a', 'b'] });
  const { resources } = await stream.next();
  t.deepEqual(
    resources.map(({ name }) => name),
    ['a', 'b'],
  );
  const [client] = serving.engine.streams();
  await until(
    'the second request is read',
    () => client?.sessions[0]?.subscription.names.size,
    (size) => size === 0,
  );
});

test('given streams that do not read, responses wait for room, and each stream gets its own later', async (t) => {
  const perCaller = 200_000;
  const serving = await serveFor(t, { unsentBytesPerCaller: perCaller });
  serving.resources.put(T, largeResources(MORE_THAN_PAUSED_CLIENTS_TAKE));
  const streams = Array.from({ length: 12 }, () =>
    connect(t, serving, 'slow', { 'grpc-node.flow_control_window': 4096 }),
  );
  for (const stream of streams) {
    stream.pause();
    stream.send({ typeUrl: T });
  }
  await until(
    'all 12 streams wait',
    () => serving.engine.counters.streamsBehind,
    (behind) => behind === 12,
  );
  t.true(serving.engine.sendRoom.unsent <= perCaller + 70_000, `${serving.engine.sendRoom.unsent} bytes`);
  const other = connect(t, serving, 'other');
  other.send({ typeUrl: T });
  t.true((await other.next()).resources.length > 0);
  for (const stream of streams) {
    stream.resume();
    let resources = 0;
    while (resources < MORE_THAN_PAUSED_CLIENTS_TAKE) resources += (await stream.next()).resources.length;
  }
  t.pass();
});

test('given a stream that takes nothing while others of its caller wait, ends it', async (t) => {
  const serving = await serveFor(t, { unsentBytesPerCaller: 10_000, stallMs: 1 });
  serving.resources.put(T, largeResources(MORE_THAN_PAUSED_CLIENTS_TAKE));
  const streams = Array.from({ length: 2 }, () =>
    connect(t, serving, 'slow', { 'grpc-node.flow_control_window': 4096 }),
  );
  for (const stream of streams) {
    stream.pause();
    stream.send({ typeUrl: T });
  }
  await until(
    'a stalled stream is ended',
    () => serving.engine.counters.stalledStreams,
    (stalled) => stalled > 0,
  );
  const ended = await Promise.race(streams.map((stream) => stream.resume() ?? stream.ended));
  t.regex(ended.details, /took nothing/u);
});
