import test from 'ava';
import type { ExecutionContext } from 'ava';
import { status } from '@grpc/grpc-js';
import type { Identified } from '../../control-plane/xds/caller.ts';
import type { XdsEngineOptions } from '../../control-plane/xds/engine.ts';
import { until } from '../until.ts';
import { deltaStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';

async function serveFor(t: ExecutionContext, options: Partial<XdsEngineOptions> = {}): Promise<Serving> {
  const serving = await serve(options);
  t.teardown(() => serving.stop());
  return serving;
}

async function connect(t: ExecutionContext, serving: Serving): Promise<DeltaStream> {
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T });
  await stream.next();
  return stream;
}

test('new streams are admitted up to the burst, and told to come back above it', async (t) => {
  const serving = await serveFor(t, { limits: { newStreamsBurst: 2, newStreamsPerSecond: 0.001 } });
  await connect(t, serving);
  await connect(t, serving);
  const refused = deltaStream(serving.address);
  t.teardown(() => refused.close());
  const ended = await refused.ended;
  t.is(ended.code, status.UNAVAILABLE);
  t.regex(ended.details, /CORTEXFLOW_NEW_STREAMS_PER_SECOND/u);
  t.is(serving.engine.counters.admissionsRefused, 1);
  t.is(serving.engine.counters.streams, 2);
});

test('whoever cannot be identified is turned away before anything is read', async (t) => {
  const serving = await serveFor(t, {
    identify: async (call) => {
      const [token] = call.metadata.get('authorization');
      if (token === 'broken') throw new Error('the token review failed');
      return { rejected: { code: status.UNAUTHENTICATED, details: 'Bring a token.' } };
    },
  });
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T });
  const ended = await stream.ended;
  t.is(ended.code, status.UNAUTHENTICATED);
  t.is(ended.details, 'Bring a token.');
  t.is(serving.engine.counters.identitiesRefused, 1);
});

test('an identity check that fails is an error of its stream alone', async (t) => {
  const serving = await serveFor(t, {
    identify: () => Promise.reject(new Error('the token review failed')),
  });
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  t.is((await stream.ended).code, status.INTERNAL);
  t.true(serving.log.some(({ message }) => message === 'could not identify a caller'));
});

test('an identity check that hangs ends when the first request would be overdue', async (t) => {
  const serving = await serveFor(t, {
    identify: () => new Promise(() => undefined),
    limits: { firstRequestMs: 50 },
  });
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  const ended = await stream.ended;
  t.is(ended.code, status.UNAVAILABLE);
  t.regex(ended.details, /identified within 50 ms/u);
});

test('who is still being identified when the server drains is not let in', async (t) => {
  const asked = Promise.withResolvers<undefined>();
  const identity = Promise.withResolvers<Identified>();
  const serving = await serveFor(t, {
    identify: () => {
      asked.resolve(undefined);
      return identity.promise;
    },
  });
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T });
  await asked.promise;
  await serving.engine.drain(10);
  identity.resolve({ ok: { name: 'late' } });
  t.regex(
    (await Promise.race([stream.ended, stream.next().then(() => ({ details: 'served' }))])).details,
    /shutting down/u,
  );
  t.is(serving.engine.counters.streamsOpened, 0);
});

test('streams end at their maximum age, each at a time of its own', async (t) => {
  let now = 1_000_000;
  const chances = [0, 0.999];
  const serving = await serveFor(t, {
    now: () => now,
    random: () => chances.shift() ?? 0,
    limits: { streamAgeMs: 60_000 },
  });
  const first = await connect(t, serving);
  const second = await connect(t, serving);
  now += 55_000;
  t.is((await first.ended).code, status.UNAVAILABLE);
  t.is(serving.engine.counters.streams, 1);
  now += 11_000;
  t.regex((await second.ended).details, /maximum age/u);
});

test('draining ends the streams one by one and refuses new ones', async (t) => {
  let now = 1_000_000;
  const serving = await serveFor(t, { now: () => now });
  const streams = await Promise.all(Array.from({ length: 5 }, () => connect(t, serving)));
  // The clock moves on when an end has arrived, so that one stream is due at a time.
  const seen: number[] = [];
  const all = streams.map(async (stream) => {
    const { code } = await stream.ended;
    t.is(code, status.UNAVAILABLE);
    seen.push(serving.engine.counters.streams);
    now += 100;
  });
  await serving.engine.drain(500);
  await Promise.all(all);
  t.is(serving.engine.counters.streams, 0);
  t.deepEqual(seen, [4, 3, 2, 1, 0]);
  const late = deltaStream(serving.address);
  t.teardown(() => late.close());
  t.regex((await late.ended).details, /shutting down/u);
});

test('streams that are turned away end within the window, each at a time of its own, and on a new connection', async (t) => {
  let now = 1_000_000;
  const chances = [0.5, 0.5, 0.1, 0.9];
  const serving = await serveFor(t, { now: () => now, random: () => chances.shift() ?? 0 });
  const first = await connect(t, serving);
  const second = await connect(t, serving);
  serving.engine.endStreams(30_000, 'out of date');
  serving.server.drain(serving.address, 60_000);
  now += 3_000;
  t.like(await first.ended, { code: status.UNAVAILABLE, details: 'out of date' });
  t.is(serving.engine.counters.streams, 1);
  await connect(t, serving);
  now += 24_000;
  t.is((await second.ended).details, 'out of date');
  t.is(serving.engine.counters.streams, 1);
});

test('one address has no more streams than its share, and a new one when one has ended', async (t) => {
  const serving = await serveFor(t, { limits: { streamsPerCaller: 1 } });
  const first = await connect(t, serving);
  const second = deltaStream(serving.address);
  t.teardown(() => second.close());
  t.is((await second.ended).code, status.RESOURCE_EXHAUSTED);
  first.close();
  await until(
    'no open stream',
    () => serving.engine.counters.streams,
    (count) => count === 0,
  );
  await connect(t, serving);
  t.is(serving.engine.counters.streams, 1);
});

test('a client that has asked all it wants gets all of it, and then the end', async (t) => {
  const serving = await serveFor(t, { limits: { responseBytes: 1000 } });
  const names = Array.from({ length: 30 }, (_, at) => `r${at}`);
  serving.resources.put(T, Object.fromEntries(names.map((name) => [name, 'x'.repeat(200)])));
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T });
  stream.halfClose();
  t.is((await stream.ended).code, status.OK);
  const seen = stream.received.flatMap(({ resources }) => resources.map(({ name }) => name));
  t.deepEqual(seen.toSorted(), names.toSorted());
});

test('types that clients make up are forgotten when nobody asks for them any more', async (t) => {
  const serving = await serveFor(t);
  for (let at = 0; at < 4; at += 1) {
    const stream = await connect(t, serving);
    for (let type = 0; type < 30; type += 1) {
      stream.send({ typeUrl: `type.googleapis.com/made.Up${at}.${type}` });
      await stream.next();
    }
    stream.close();
  }
  await until(
    'no open stream',
    () => serving.engine.counters.streams,
    (count) => count === 0,
  );
  const still = await connect(t, serving);
  serving.resources.put(T, { a: '1' });
  t.is((await still.next()).resources[0]?.name, 'a');
  t.deepEqual([...serving.engine.counters.types.keys()], ['other']);
});
