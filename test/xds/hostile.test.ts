import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { status } from '@grpc/grpc-js';
import type { XdsEngineOptions } from '../../control-plane/xds/engine.ts';
import { ClusterDiscoveryService } from '../../gen/envoy/service/cluster/v3/cds_pb.ts';
import { CLUSTER_TYPE_URL } from '../../examples/envoy-kinds.ts';
import { OverLimit, readDeltaRequest } from '../../control-plane/xds/request.ts';
import { until } from '../until.ts';
import { deltaStream, sotwStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';

async function serveFor(t: ExecutionContext, options: Partial<XdsEngineOptions> = {}): Promise<Serving> {
  // A busy machine can take long to send a large first request.
  const serving = await serve({ ...options, limits: { firstRequestMs: 60_000, ...options.limits } });
  t.teardown(() => serving.stop());
  return serving;
}

function connect(t: ExecutionContext, serving: Serving, options = {}): DeltaStream {
  const stream = deltaStream(serving.address, options);
  t.teardown(() => stream.close());
  return stream;
}

function text(at: number): string {
  return `${at} ${'x'.repeat(1000)}`;
}

/** A client that behaves, and is to notice nothing of those that do not. */
async function bystander(t: ExecutionContext, serving: Serving): Promise<() => Promise<void>> {
  const stream = connect(t, serving);
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['bystander'] });
  await stream.next();
  let changes = 0;
  return async () => {
    changes += 1;
    serving.resources.put(T, { bystander: `${changes}` });
    const { resources } = await stream.next();
    t.is(Buffer.from(resources[0]?.resource?.value ?? []).toString(), `${changes}`);
  };
}

test('bytes that are no request end their stream and nothing else', async (t) => {
  const serving = await serveFor(t);
  const isServed = await bystander(t, serving);
  const garbage = [
    Buffer.from([0xff]),
    Buffer.from([0x12, 0x7f, 1]),
    Buffer.from('GET / HTTP/1.1\r\n'),
    Buffer.from([0x2a, 0x01, 0xff]),
  ];
  for (const bytes of garbage) {
    const stream = connect(t, serving);
    stream.sendBytes(bytes);
    const ended = await stream.ended;
    t.is(ended.code, status.INVALID_ARGUMENT);
    t.regex(ended.details, /no discovery request/u);
  }
  for (let at = 0; at < 200; at += 1) connect(t, serving).sendBytes(randomBytes(1 + at));
  t.false(serving.log.some(({ level }) => level === 'error'));
  await isServed();
  t.true(serving.engine.counters.requestsRefused >= garbage.length);
});

test('too many subscriptions end their stream with the limit and what to do', async (t) => {
  const serving = await serveFor(t);
  const isServed = await bystander(t, serving);
  const atOnce = connect(t, serving);
  const names = Array.from({ length: 10_000 }, (_, at) => `name-${at}`);
  atOnce.send({ typeUrl: T, resourceNamesSubscribe: names });
  const ended = await atOnce.ended;
  t.is(ended.code, status.RESOURCE_EXHAUSTED);
  t.regex(ended.details, /10000 names .* no more than 8192 are allowed: subscribe to less/u);
  const oneByOne = connect(t, serving);
  for (const name of names) oneByOne.send({ typeUrl: T, resourceNamesSubscribe: [name] });
  t.is((await oneByOne.ended).code, status.RESOURCE_EXHAUSTED);
  const long = connect(t, serving);
  long.send({ typeUrl: T, resourceNamesSubscribe: ['x'.repeat(2 << 20)] });
  t.regex((await long.ended).details, /bytes of names are subscribed/u);
  await isServed();
});

test('a request that alone is over a limit is refused before its names are read', async (t) => {
  const serving = await serveFor(t);
  const isServed = await bystander(t, serving);
  const crowded = connect(t, serving);
  const name = Buffer.from([0x1a, 0]);
  crowded.sendBytes(Buffer.alloc(1_300_000, name));
  const ended = await crowded.ended;
  t.is(ended.code, status.RESOURCE_EXHAUSTED);
  t.regex(ended.details, /650000 names .* no more than 8192/u);
  const sotw = sotwStream(serving.address);
  t.teardown(() => sotw.close());
  sotw.sendBytes(Buffer.alloc(1_300_000, name));
  t.regex((await sotw.ended).details, /names are subscribed/u);
  await isServed();
  t.throws(() => readDeltaRequest(Buffer.alloc(20_000, Buffer.from([0x22, 0]))), { instanceOf: OverLimit });
});

function sixClaims(from: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 6 }, (_, at) => [`n/${from + at}`, '0'.repeat(16)]));
}

test('what a stream may claim to hold is limited over all its types', async (t) => {
  const serving = await serveFor(t, { limits: { claims: 10 } });
  const stream = connect(t, serving);
  stream.send({ typeUrl: T, initialResourceVersions: sixClaims(0) });
  await stream.next();
  stream.send({ typeUrl: T, initialResourceVersions: sixClaims(6) });
  stream.send({ typeUrl: 'type.googleapis.com/example.Other', initialResourceVersions: sixClaims(6) });
  const ended = await stream.ended;
  t.is(ended.code, status.RESOURCE_EXHAUSTED);
  t.regex(ended.details, /12 resources are claimed .* no more than 10 are allowed/u);
  const atOnce = connect(t, serving);
  atOnce.send({ typeUrl: T, initialResourceVersions: { ...sixClaims(0), ...sixClaims(6) } });
  t.regex((await atOnce.ended).details, /12 resources are claimed/u);
});

test('too many types, and too large a node, end their stream', async (t) => {
  const serving = await serveFor(t);
  const types = connect(t, serving);
  for (let at = 0; at <= 64; at += 1) types.send({ typeUrl: `type.googleapis.com/made.Up${at}` });
  t.regex((await types.ended).details, /types are subscribed .* no more than 64/u);
  const node = connect(t, serving);
  node.send({ typeUrl: T, node: { id: 'x'.repeat(100_000) } });
  t.regex((await node.ended).details, /bytes are taken by the node/u);
  t.deepEqual([...serving.engine.counters.types.keys()], ['other']);
});

test('a request without a type, or of another type than the service, is refused in words', async (t) => {
  const serving = await serveFor(t);
  const untyped = connect(t, serving);
  untyped.send({ resourceNamesSubscribe: ['a'] });
  t.regex((await untyped.ended).details, /type_url is empty/u);
  const clusters = deltaStream(serving.address, {}, ClusterDiscoveryService.method.deltaClusters);
  t.teardown(() => clusters.close());
  clusters.send({ typeUrl: T });
  t.regex((await clusters.ended).details, /serves .*Cluster and not .*Thing/u);
});

test('a service for one type needs no type in the request', async (t) => {
  const serving = await serveFor(t);
  serving.resources.put(CLUSTER_TYPE_URL, { a: '1' });
  const delta = deltaStream(serving.address, {}, ClusterDiscoveryService.method.deltaClusters);
  const sotw = sotwStream(serving.address, {}, ClusterDiscoveryService.method.streamClusters);
  t.teardown(() => delta.close());
  t.teardown(() => sotw.close());
  delta.send({});
  sotw.send({});
  t.is((await delta.next()).resources[0]?.name, 'a');
  t.is((await sotw.next()).resources.length, 1);
});

test('a client that asks for nothing is closed', async (t) => {
  const serving = await serveFor(t, { limits: { firstRequestMs: 100 } });
  const stream = connect(t, serving);
  const ended = await stream.ended;
  t.is(ended.code, status.DEADLINE_EXCEEDED);
  t.is(serving.engine.counters.streams, 0);
});

test('a client that never reads costs little, holds up nobody, and gets the latest state later', async (t) => {
  const serving = await serveFor(t);
  const isServed = await bystander(t, serving);
  const slow = connect(t, serving, { 'grpc-node.flow_control_window': 1024 });
  slow.pause();
  const change = (at: number): void =>
    serving.resources.put(
      T,
      Object.fromEntries(Array.from({ length: 100 }, (_, name) => [`n/${name}`, text(at)])),
    );
  change(0);
  slow.send({ typeUrl: T, resourceNamesSubscribe: ['n/*'] });
  // 500 rounds of 100 kB would be 50 MB, were they kept for it.
  for (let at = 1; at <= 500; at += 1) {
    change(at);
    if (at % 50 === 0) await isServed();
  }
  const pushes = serving.engine.counters.types.get(T)?.pushedBytes ?? 0;
  t.true(pushes < 2_000_000, `${pushes} bytes were written`);
  t.is(serving.engine.counters.streamsBehind, 1);
  slow.resume();
  const held = new Map<string, string>();
  while (held.size < 100 || new Set(held.values()).size > 1 || held.get('n/0') !== text(500)) {
    for (const { name, resource } of (await slow.next()).resources) {
      held.set(name, Buffer.from(resource?.value ?? []).toString());
    }
  }
  t.true(slow.received.length < 20);
  t.is(serving.engine.counters.streamsBehind, 0);
});

test('a client that never acknowledges is served, and remembered within bounds', async (t) => {
  const serving = await serveFor(t);
  const stream = connect(t, serving);
  stream.send({ typeUrl: T });
  await stream.next();
  for (let at = 0; at < 300; at += 1) {
    serving.resources.put(T, { a: `${at}` });
    await stream.next();
  }
  const [client] = serving.engine.streams();
  t.true((client?.sessions[0]?.acknowledgements.pending.length ?? 0) <= 64);
});

test('a client that leaves in the middle of everything leaves nothing behind', async (t) => {
  const serving = await serveFor(t);
  serving.resources.put(
    T,
    Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`${at}`, 'x'.repeat(9000)])),
  );
  const streams = Array.from({ length: 20 }, () => connect(t, serving));
  for (const stream of streams) stream.send({ typeUrl: T });
  await Promise.all(streams.map((stream) => stream.next()));
  for (const stream of streams) stream.close();
  await until(
    'no open stream',
    () => serving.engine.counters.streams,
    (count) => count === 0,
  );
  t.is(serving.engine.counters.streamsBehind, 0);
  t.deepEqual([...serving.engine.streams()], []);
});

test('what a client makes the server log is one line per type in ten seconds, with what was left out', async (t) => {
  let now = 1_000_000;
  const serving = await serveFor(t, { now: () => now, limits: { clientReceiveBytes: 1000 } });
  serving.resources.put(T, { a: 'x'.repeat(2000) });
  const stream = connect(t, serving);
  const rejectOnce = async (): Promise<void> => {
    stream.send({ typeUrl: T, resourceNamesSubscribe: ['a'] });
    const { nonce } = await stream.next();
    stream.send({ typeUrl: T, responseNonce: nonce, errorDetail: { code: 3, message: 'no' } });
  };
  for (let at = 0; at < 5; at += 1) await rejectOnce();
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['b'] });
  await stream.next();
  t.deepEqual(
    serving.log.map(({ fields }) => fields['leftOut']),
    [undefined, undefined],
  );
  t.is(serving.engine.counters.oversizedResources, 5);
  now += 10_000;
  await rejectOnce();
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['c'] });
  await stream.next();
  t.deepEqual(
    serving.log.slice(2).map(({ fields }) => fields['leftOut']),
    [4, 4],
  );
});
