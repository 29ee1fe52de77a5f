import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { DiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { encodeSotw, sotwStream } from './client.ts';
import type { SotwStream } from './client.ts';
import { Resources, serve } from './serve.ts';
import type { Serving } from './serve.ts';

/** Complete in each response, like clusters and listeners. */
const FULL = 'type.googleapis.com/example.Full';
/** Told by its changes, like endpoints and routes. */
const PARTS = 'type.googleapis.com/example.Parts';

interface Story {
  readonly serving: Serving;
  readonly stream: SotwStream;
}

function story(title: string, tell: (t: ExecutionContext, story: Story) => Promise<void>): void {
  test(title, async (t) => {
    const serving = await serve({
      fullStateTypes: [FULL],
      order: [FULL, PARTS],
      limits: { responseBytes: 2000 },
    });
    const stream = sotwStream(serving.address);
    try {
      await tell(t, { serving, stream });
    } finally {
      stream.close();
      await serving.stop();
    }
  });
}

/** The contents, since state of the world carries no names: tests put the name in front of the content. */
function told({ resources }: DiscoveryResponse): string {
  return resources
    .map(({ value }) => Buffer.from(value).toString())
    .toSorted()
    .join(' ');
}

let questions = 0;

/** Nothing else is on its way: what the server says next is the answer to a question asked now. */
async function isSilent(t: ExecutionContext, stream: SotwStream): Promise<void> {
  questions += 1;
  const typeUrl = `type.googleapis.com/nobody.Knows${questions}`;
  stream.send({ typeUrl });
  t.is((await stream.next()).typeUrl, typeUrl);
}

story('rule 3: an unknown name is remembered, and sent when it appears', async (t, { serving, stream }) => {
  stream.send({ typeUrl: PARTS, resourceNames: ['a', 'n/s/*'] });
  t.is(told(await stream.next()), '');
  serving.resources.put(PARTS, { other: 'other1' });
  await isSilent(t, stream);
  serving.resources.put(PARTS, { a: 'a1', 'n/s/1': 's1' });
  t.is(told(await stream.next()), 'a1 s1');
});

story('rule 5: an empty first request means everything', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
  stream.send({ typeUrl: PARTS });
  const first = await stream.next();
  t.is(told(first), 'a1 b1');
  stream.send({ typeUrl: PARTS, responseNonce: first.nonce, versionInfo: first.versionInfo });
  await isSilent(t, stream);
  serving.resources.put(PARTS, { c: 'c1' });
  t.is(told(await stream.next()), 'c1');
});

story('rule 5: after a name was asked for, an empty list means none', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
  stream.send({ typeUrl: PARTS });
  const first = await stream.next();
  stream.send({ typeUrl: PARTS, responseNonce: first.nonce, resourceNames: ['a'] });
  const second = await stream.next();
  t.is(told(second), 'a1');
  stream.send({ typeUrl: PARTS, responseNonce: second.nonce });
  await isSilent(t, stream);
  serving.resources.put(PARTS, { a: 'a2', b: 'b2' });
  await isSilent(t, stream);
  stream.send({ typeUrl: PARTS, resourceNames: ['*'] });
  t.is(told(await stream.next()), 'a2 b2');
});

story('rule 6: a name that is no longer asked for is no longer sent', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
  stream.send({ typeUrl: PARTS, resourceNames: ['a', 'b'] });
  const first = await stream.next();
  stream.send({ typeUrl: PARTS, responseNonce: first.nonce, resourceNames: ['a'] });
  await isSilent(t, stream);
  serving.resources.put(PARTS, { a: 'a2', b: 'b2' });
  t.is(told(await stream.next()), 'a2');
});

story(
  'rule 7: a rejection is what carries error_detail, and is not argued with',
  async (t, { serving, stream }) => {
    serving.resources.put(FULL, { a: 'a1', b: 'b1' });
    stream.send({ typeUrl: FULL });
    const first = await stream.next();
    stream.send({
      typeUrl: FULL,
      responseNonce: first.nonce,
      versionInfo: first.versionInfo,
      errorDetail: { code: 3, message: 'no' },
    });
    await isSilent(t, stream);
    t.is(serving.engine.counters.types.get(FULL)?.nacks, 1);
    serving.resources.put(FULL, { a: 'a2' });
    const second = await stream.next();
    t.is(told(second), 'a2 b1');
    stream.send({ typeUrl: FULL, responseNonce: second.nonce, versionInfo: '' });
    await isSilent(t, stream);
    t.is(serving.engine.counters.types.get(FULL)?.acks, 1);
  },
);

story('rule 8: a request with a stale nonce is not acted on', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
  stream.send({ typeUrl: PARTS, resourceNames: ['a'] });
  const first = await stream.next();
  serving.resources.put(PARTS, { a: 'a2' });
  const second = await stream.next();
  t.not(first.nonce, second.nonce);
  stream.send({ typeUrl: PARTS, responseNonce: first.nonce, resourceNames: ['b'] });
  await isSilent(t, stream);
  stream.send({ typeUrl: PARTS, responseNonce: second.nonce, resourceNames: ['b'] });
  t.is(told(await stream.next()), 'b1');
});

story('rule 12: where a response is complete, what is missing is gone', async (t, { serving, stream }) => {
  serving.resources.put(FULL, { a: 'a1', b: 'b1', c: 'c1' });
  stream.send({ typeUrl: FULL });
  t.is(told(await stream.next()), 'a1 b1 c1');
  serving.resources.put(FULL, { a: 'a2' });
  t.is(told(await stream.next()), 'a2 b1 c1');
  serving.resources.put(FULL, { b: undefined });
  const last = await stream.next();
  t.is(told(last), 'a2 c1');
  stream.send({ typeUrl: FULL, responseNonce: last.nonce, resourceNames: ['a', 'b'] });
  t.is(told(await stream.next()), 'a2');
  serving.resources.put(FULL, { c: 'c2' });
  await isSilent(t, stream);
  serving.resources.put(FULL, { b: 'b2' });
  t.is(told(await stream.next()), 'a2 b2');
  serving.resources.put(FULL, { a: undefined, b: undefined });
  t.is(told(await stream.next()), '');
});

story(
  'rule 12: where a response holds changes, what is missing is not told',
  async (t, { serving, stream }) => {
    serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
    stream.send({ typeUrl: PARTS });
    t.is(told(await stream.next()), 'a1 b1');
    serving.resources.put(PARTS, { a: undefined });
    await isSilent(t, stream);
    serving.resources.put(PARTS, { a: 'a2' });
    t.is(told(await stream.next()), 'a2');
  },
);

story('rule 13: nothing unchanged is sent again', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1', b: 'b1' });
  stream.send({ typeUrl: PARTS, resourceNames: ['a'] });
  const first = await stream.next();
  for (let at = 0; at < 3; at += 1) {
    stream.send({ typeUrl: PARTS, responseNonce: first.nonce, resourceNames: ['a'] });
  }
  await isSilent(t, stream);
  serving.resources.put(PARTS, { b: 'b2' });
  await isSilent(t, stream);
});

story('rule 14: no resource comes twice in one response', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { 'n/s/1': 's1' });
  serving.resources.put(FULL, { 'n/s/1': 's1' });
  stream.send({ typeUrl: PARTS, resourceNames: ['n/s/1', 'n/s/1', 'n/s/*'] });
  t.is(told(await stream.next()), 's1');
  stream.send({ typeUrl: FULL, resourceNames: ['n/s/1', '*', 'n/s/*'] });
  t.is(told(await stream.next()), 's1');
});

story(
  'rule 15: additions in the order of the types, then removals in the opposite order',
  async (t, { serving, stream }) => {
    serving.resources.put(FULL, { old: 'old' });
    serving.resources.put(PARTS, { old: 'old' });
    stream.send({ typeUrl: PARTS });
    await stream.next();
    stream.send({ typeUrl: FULL });
    await stream.next();
    const next = new Resources();
    next.cell.replace(serving.resources.cell.current);
    next.put(FULL, { old: undefined, new: 'new' });
    next.put(PARTS, { old: undefined, new: 'new' });
    serving.resources.cell.replace(next.cell.current);
    const order: string[] = [];
    for (let at = 0; at < 3; at += 1) {
      const response = await stream.next();
      order.push(`${response.typeUrl === FULL ? 'full' : 'parts'}: ${told(response)}`);
    }
    t.deepEqual(order, ['full: new old', 'parts: new', 'full: new']);
    await isSilent(t, stream);
  },
);

story(
  'rule 15: a complete state of names keeps what is to be removed until the other types are told',
  async (t, { serving, stream }) => {
    serving.resources.put(FULL, { old: 'old', 'n/s/1': 's1', 'n/s/2': 's2' });
    serving.resources.put(PARTS, { route: 'to-old' });
    const names = ['old', 'new', 'n/s/*'];
    stream.send({ typeUrl: FULL, resourceNames: names });
    t.is(told(await stream.next()), 'old s1 s2');
    stream.send({ typeUrl: PARTS, resourceNames: ['route'] });
    await stream.next();
    const next = new Resources();
    const change = (full: Record<string, string | undefined>, route: string): void => {
      next.cell.replace(serving.resources.cell.current);
      next.put(FULL, full);
      next.put(PARTS, { route });
      serving.resources.cell.replace(next.cell.current);
    };
    const responses = async (count: number): Promise<string[]> => {
      const seen: string[] = [];
      while (seen.length < count) seen.push(told(await stream.next()));
      return seen;
    };
    change({ old: undefined, new: 'new', 'n/s/1': undefined }, 'to-new');
    t.deepEqual(await responses(3), ['new old s1 s2', 'to-new', 'new s2']);
    await isSilent(t, stream);
    change({ new: undefined }, 'to-s2');
    t.deepEqual(await responses(2), ['to-s2', 's2']);
    await isSilent(t, stream);
  },
);

story(
  'rule 16: an unknown type is answered empty, and served once it is there',
  async (t, { serving, stream }) => {
    stream.send({ typeUrl: 'type.googleapis.com/nobody.Yet' });
    t.is(told(await stream.next()), '');
    serving.resources.put('type.googleapis.com/nobody.Yet', { a: 'a1' });
    t.is(told(await stream.next()), 'a1');
  },
);

story('rule 17: changes are split, a complete state cannot be', async (t, { serving, stream }) => {
  const entries = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`r${at}`, 'x'.repeat(200)]));
  serving.resources.put(PARTS, entries);
  serving.resources.put(FULL, entries);
  stream.send({ typeUrl: PARTS });
  for (let left = 40; left > 0;) {
    const { resources } = await stream.next();
    t.true(resources.length <= 10);
    left -= resources.length;
  }
  stream.send({ typeUrl: FULL });
  t.is((await stream.next()).resources.length, 40);
  await isSilent(t, stream);
});

story('rule 18: fields that are newer than this server are skipped', async (t, { serving, stream }) => {
  serving.resources.put(PARTS, { a: 'a1' });
  const newer = Buffer.from([0x92, 0x03, 0x03, 1, 2, 3, 0xa0, 0x03, 0x07]);
  stream.sendBytes(Buffer.concat([newer, encodeSotw({ typeUrl: PARTS, resourceNames: ['a'] }), newer]));
  t.is(told(await stream.next()), 'a1');
});
