import test from 'ava';
import type { ExecutionContext } from 'ava';
import type {
  DeltaDiscoveryResponse,
  DiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { deltaStream, encodeDelta, sotwStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { Resources, serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';
const SECOND = 'type.googleapis.com/example.Second';

interface Story {
  readonly serving: Serving;
  readonly stream: DeltaStream;
}

/** One server, one stream, nothing left open. */
function story(
  title: string,
  tell: (t: ExecutionContext, story: Story) => Promise<void>,
  options: Parameters<typeof serve>[0] = {},
): void {
  test(title, async (t) => {
    const serving = await serve(options);
    const stream = deltaStream(serving.address);
    try {
      await tell(t, { serving, stream });
    } finally {
      stream.close();
      await serving.stop();
    }
  });
}

/** What a response says, in one line: `+name` sent, `-name` removed. */
function told({ resources, removedResources }: DeltaDiscoveryResponse): string {
  const sent = resources.map(({ name }) => `+${name}`).toSorted();
  return [...sent, ...removedResources.map((name) => `-${name}`).toSorted()].join(' ');
}

function valuesIn({ resources }: DiscoveryResponse): readonly string[] {
  return resources.map(({ value }) => Buffer.from(value).toString()).toSorted();
}

let questions = 0;

/** Nothing else is on its way: what the server says next is the answer to a question asked now. */
async function isSilent(t: ExecutionContext, stream: DeltaStream): Promise<void> {
  questions += 1;
  const name = `nobody-${questions}`;
  stream.send({ typeUrl: T, resourceNamesSubscribe: [name] });
  t.is(told(await stream.next()), `-${name}`);
}

story('rule 1: a subscription change counts, however old its nonce is', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1', b: '1', c: '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['a'] });
  const first = await stream.next();
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['b'], responseNonce: first.nonce });
  await stream.next();
  stream.send({
    typeUrl: T,
    resourceNamesSubscribe: ['c'],
    resourceNamesUnsubscribe: ['a'],
    responseNonce: first.nonce,
  });
  t.is(told(await stream.next()), '+c');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['b'], responseNonce: 'never-sent' });
  await isSilent(t, stream);
  serving.resources.put(T, { a: '2', b: '2', c: '2' });
  t.is(told(await stream.next()), '+c');
});

story('rule 2: subscribing to a held name sends it again', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1', 'n/s/1': '1', 'n/s/2': '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['a', 'n/s/*'] });
  t.is(told(await stream.next()), '+a +n/s/1 +n/s/2');
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['a'] });
  t.is(told(await stream.next()), '+a');
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['n/s/*'] });
  t.is(told(await stream.next()), '+n/s/1 +n/s/2');
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['*'] });
  t.is(told(await stream.next()), '+a +n/s/1 +n/s/2');
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['*'] });
  t.is(told(await stream.next()), '+a +n/s/1 +n/s/2');
  await isSilent(t, stream);
});

story(
  'rule 3: an unknown name is told as removed, remembered, and sent when it appears',
  async (t, { serving, stream }) => {
    stream.send({ typeUrl: T, resourceNamesSubscribe: ['a', 'n/s/*'] });
    t.is(told(await stream.next()), '-a -n/s/*');
    serving.resources.put(T, { other: '1' });
    await isSilent(t, stream);
    serving.resources.put(T, { a: '1' });
    t.is(told(await stream.next()), '+a');
    serving.resources.put(T, { 'n/s/1': '1' });
    t.is(told(await stream.next()), '+n/s/1');
    serving.resources.put(T, { 'n/s/1': undefined, a: undefined });
    t.is(told(await stream.next()), '-a -n/s/* -n/s/1');
    serving.resources.put(T, { 'n/s/2': '1' });
    t.is(told(await stream.next()), '+n/s/2');
    await isSilent(t, stream);
  },
);

story('rule 4: giving up a name that the wildcard covers is answered', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1', b: '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['*', 'a', 'gone'] });
  t.is(told(await stream.next()), '+a +b');
  t.is(told(await stream.next()), '-gone');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['a'] });
  t.is(told(await stream.next()), '+a');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['gone'] });
  t.is(told(await stream.next()), '-gone');
  await isSilent(t, stream);
});

story('rule 4: giving up a name that its collection covers is answered', async (t, { serving, stream }) => {
  serving.resources.put(T, { 'n/s/1': '1', 'n/s/2': '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['n/s/*', 'n/s/1'] });
  t.is(told(await stream.next()), '+n/s/1 +n/s/2');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['n/s/1'] });
  t.is(told(await stream.next()), '+n/s/1');
  await isSilent(t, stream);
});

story('rule 5: an empty first request means everything', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1' });
  stream.send({ typeUrl: T });
  t.is(told(await stream.next()), '+a');
  serving.resources.put(T, { b: '1' });
  t.is(told(await stream.next()), '+b');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['*'] });
  await isSilent(t, stream);
  serving.resources.put(T, { c: '1' });
  await isSilent(t, stream);
});

story('rule 5: after a name was asked for, an empty list means none', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1', b: '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['a'] });
  t.is(told(await stream.next()), '+a');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['a'] });
  stream.send({ typeUrl: T });
  await isSilent(t, stream);
  serving.resources.put(T, { a: '2', b: '2' });
  await isSilent(t, stream);
});

story('rule 6: giving up a name that was never asked for changes nothing', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['*'], resourceNamesUnsubscribe: ['phantom'] });
  t.is(told(await stream.next()), '+a');
  stream.send({ typeUrl: T, resourceNamesUnsubscribe: ['phantom', 'a'] });
  await isSilent(t, stream);
  serving.resources.put(T, { a: '2' });
  t.is(told(await stream.next()), '+a');
});

story(
  'rule 7: a rejection is what carries error_detail, and is not argued with',
  async (t, { serving, stream }) => {
    serving.resources.put(T, { a: '1', b: '1' });
    stream.send({ typeUrl: T, node: { id: 'sidecar-1' }, resourceNamesSubscribe: ['*'] });
    const first = await stream.next();
    stream.send({
      typeUrl: T,
      responseNonce: first.nonce,
      errorDetail: { code: 3, message: 'a has no port' },
    });
    await isSilent(t, stream);
    t.is(serving.engine.counters.types.get(T)?.nacks, 1);
    const warning = serving.log.find(({ message }) => message === 'a client rejected resources');
    t.like(warning?.fields, { node: 'sidecar-1', type: T, nonce: first.nonce, reason: 'a has no port' });
    serving.resources.put(T, { a: '2' });
    t.is(told(await stream.next()), '+a');
  },
);

test('rule 8: nonces are unique per response on a stream, and contents are shared between streams', async (t) => {
  const serving = await serve();
  serving.resources.put(T, { a: '1', b: '1' });
  const streams = [deltaStream(serving.address), deltaStream(serving.address)];
  for (const stream of streams) {
    for (let at = 0; at < 20; at += 1) {
      stream.send({ typeUrl: T, resourceNamesSubscribe: [at % 2 === 0 ? 'a' : 'b'] });
      await stream.next();
      serving.resources.put(SECOND, { [`${at}`]: 'x' });
      stream.send({ typeUrl: SECOND, resourceNamesSubscribe: ['*'] });
      await stream.next();
    }
    const nonces = stream.received.map(({ nonce }) => nonce);
    t.is(new Set(nonces).size, nonces.length);
  }
  streams.forEach((stream) => stream.close());
  await serving.stop();
});

story(
  'rule 9: a version belongs to a resource and follows from its content',
  async (t, { serving, stream }) => {
    serving.resources.put(T, { a: '1', b: '1' });
    stream.send({ typeUrl: T });
    const first = await stream.next();
    const versions = new Map(first.resources.map(({ name, version }) => [name, version]));
    t.is(new Set(versions.values()).size, 2);
    serving.resources.put(T, { a: '2' });
    const second = await stream.next();
    t.not(second.resources[0]?.version, versions.get('a'));
    t.not(second.systemVersionInfo, first.systemVersionInfo);
    serving.resources.put(T, { a: '1' });
    const third = await stream.next();
    t.is(third.resources[0]?.version, versions.get('a'));
    t.is(third.systemVersionInfo, first.systemVersionInfo);
  },
);

test('rule 10: a client that comes back unchanged is sent no resource', async (t) => {
  const serving = await serve();
  serving.resources.put(T, { a: '1', b: '1', 'n/s/1': '1' });
  const first = deltaStream(serving.address);
  first.send({ typeUrl: T });
  const initialResourceVersions = Object.fromEntries(
    (await first.next()).resources.map(({ name, version }) => [name, version]),
  );
  first.close();
  const wildcard = deltaStream(serving.address);
  wildcard.send({ typeUrl: T, resourceNamesSubscribe: ['*'], initialResourceVersions });
  t.is(told(await wildcard.next()), '');
  const names = deltaStream(serving.address);
  names.send({ typeUrl: T, resourceNamesSubscribe: ['a', 'n/s/*'], initialResourceVersions });
  t.is(told(await names.next()), '');
  serving.resources.put(T, { a: '2', 'n/s/1': undefined });
  t.is(told(await wildcard.next()), '+a -n/s/1');
  t.is(told(await names.next()), '+a -n/s/* -n/s/1');
  wildcard.close();
  names.close();
  await serving.stop();
});

test('given a partial snapshot, removes nothing from clients until it is whole', async (t) => {
  const serving = await serve({ fullStateTypes: [T] });
  serving.resources.put(T, { a: 'a1', b: 'b1', 'n/s/1': 's1' });
  const { cell } = serving.resources;
  cell.replace({ ...cell.current, isPartial: true });
  const initialResourceVersions = { a: 'another', lost: '1', 'n/s/1': '1', 'n/s/lost': '1', 'n/t/lost': '1' };
  const wildcard = deltaStream(serving.address);
  wildcard.send({ typeUrl: T, resourceNamesSubscribe: ['*'], initialResourceVersions });
  t.is(told(await wildcard.next()), '+a +b +n/s/1');
  const names = deltaStream(serving.address);
  names.send({ typeUrl: T, resourceNamesSubscribe: ['n/s/*', 'n/t/*', 'n/u/*'], initialResourceVersions });
  t.is(told(await names.next()), '+n/s/1', 'no word of the collections that may have something');
  const sotw = sotwStream(serving.address);
  sotw.send({ typeUrl: T, resourceNames: ['*'] });
  t.deepEqual(valuesIn(await sotw.next()), ['a1', 'b1', 's1']);
  serving.resources.put(T, { a: 'a2', b: undefined, c: 'c1', 'n/s/2': 's2' });
  t.is(told(await wildcard.next()), '+a +c +n/s/2');
  t.is(told(await names.next()), '+n/s/2');
  t.deepEqual(valuesIn(await sotw.next()), ['a2', 'b1', 'c1', 's1', 's2']);
  cell.replace({ ...cell.current, isPartial: false });
  t.is(told(await wildcard.next()), '-b -lost -n/s/lost -n/t/lost');
  t.is(told(await names.next()), '-n/s/lost -n/t/* -n/t/lost -n/u/*');
  t.deepEqual(valuesIn(await sotw.next()), ['a2', 'c1', 's1', 's2']);
  for (const stream of [wildcard, names, sotw]) stream.close();
  await serving.stop();
});

test('rule 10: a client that comes back is told exactly what differs', async (t) => {
  const serving = await serve();
  serving.resources.put(T, { a: '1', b: '1', c: '1', 'n/s/1': '1', 'n/s/2': '1' });
  const first = deltaStream(serving.address);
  first.send({ typeUrl: T });
  const initialResourceVersions = Object.fromEntries(
    (await first.next()).resources.map(({ name, version }) => [name, version]),
  );
  first.close();
  serving.resources.put(T, { a: '2', b: undefined, 'n/s/2': undefined, 'n/s/3': '1', d: '1' });
  const wildcard = deltaStream(serving.address);
  wildcard.send({ typeUrl: T, resourceNamesSubscribe: ['*'], initialResourceVersions });
  t.is(told(await wildcard.next()), '+a +d +n/s/3 -b -n/s/2');
  const names = deltaStream(serving.address);
  names.send({ typeUrl: T, resourceNamesSubscribe: ['a', 'b', 'c', 'n/s/*'], initialResourceVersions });
  t.is(told(await names.next()), '+a +n/s/3 -b -n/s/2');
  const foreign = deltaStream(serving.address);
  foreign.send({
    typeUrl: T,
    resourceNamesSubscribe: ['*'],
    initialResourceVersions: { c: 'another-control-plane', gone: '' },
  });
  t.is(told(await foreign.next()), '+a +c +d +n/s/1 +n/s/3 -gone');
  for (const stream of [wildcard, names, foreign]) stream.close();
  await serving.stop();
});

story('rule 11: only the first request has to carry the node', async (t, { serving, stream }) => {
  stream.send({ typeUrl: T, node: { id: 'sidecar-1', cluster: 'demo' } });
  await stream.next();
  stream.send({ typeUrl: SECOND });
  await stream.next();
  t.deepEqual(
    [...serving.engine.streams()].map(({ node }) => node?.id),
    ['sidecar-1'],
  );
});

story('rule 13: nothing unchanged is sent again', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1', b: '1' });
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['*', 'a'] });
  const first = await stream.next();
  t.is(told(first), '+a +b');
  stream.send({ typeUrl: T, responseNonce: first.nonce });
  serving.resources.put(T, { a: '1' });
  await isSilent(t, stream);
  serving.resources.put(T, { a: '2' });
  t.is(told(await stream.next()), '+a');
  await isSilent(t, stream);
});

story('rule 14: no name comes twice in one response', async (t, { serving, stream }) => {
  serving.resources.put(T, { 'n/s/1': '1', 'n/s/2': '1' });
  stream.send({
    typeUrl: T,
    resourceNamesSubscribe: ['n/s/1', 'n/s/1', 'n/s/*', 'no', 'no', 'n/x/*', 'n/x/*'],
  });
  t.is(told(await stream.next()), '+n/s/1 +n/s/2 -n/x/* -no');
  serving.resources.put(T, { 'n/s/1': '2' });
  t.is(told(await stream.next()), '+n/s/1');
  serving.resources.put(T, { 'n/s/1': undefined, 'n/s/2': undefined });
  t.is(told(await stream.next()), '-n/s/* -n/s/1 -n/s/2');
});

story(
  'rule 15: additions in the order of the types, then removals in the opposite order',
  async (t, { serving, stream }) => {
    const put = (typeUrl: string, entries: Record<string, string | undefined>): void =>
      serving.resources.put(typeUrl, entries);
    put(T, { old: '1' });
    put(SECOND, { old: '1', 'n/old': '1' });
    stream.send({ typeUrl: SECOND, resourceNamesSubscribe: ['n/*', 'old', 'new'] });
    await stream.next();
    stream.send({ typeUrl: T });
    await stream.next();
    // One replacement, so that both types change at once.

    const next = new Resources();
    next.cell.replace(serving.resources.cell.current);
    next.put(T, { old: undefined, new: '1' });
    next.put(SECOND, { old: undefined, new: '1', 'n/old': undefined, 'n/new': '1' });
    serving.resources.cell.replace(next.cell.current);
    const order: string[] = [];
    for (let at = 0; at < 4; at += 1) {
      const response = await stream.next();
      order.push(`${response.typeUrl === T ? 'first' : 'second'}: ${told(response)}`);
    }
    t.deepEqual(order, ['first: +new', 'second: +n/new +new', 'second: -n/old -old', 'first: -old']);
    await isSilent(t, stream);
  },
  { order: [T, SECOND] },
);

story(
  'rule 16: an unknown type is answered empty, and served once it is there',
  async (t, { serving, stream }) => {
    stream.send({ typeUrl: 'type.googleapis.com/nobody.Knows' });
    const response = await stream.next();
    t.is(response.typeUrl, 'type.googleapis.com/nobody.Knows');
    t.is(told(response), '');
    serving.resources.put('type.googleapis.com/nobody.Knows', { a: '1' });
    t.is(told(await stream.next()), '+a');
  },
);

story(
  'rule 17: no response exceeds the limit, except for a single resource that does',
  async (t, { serving, stream }) => {
    const names = Array.from({ length: 50 }, (_, at) => `n/s/${at}`);
    serving.resources.put(T, Object.fromEntries(names.map((name) => [name, 'x'.repeat(300)])));
    serving.resources.put(T, { huge: 'x'.repeat(5000) });
    for (const subscription of [['*'], ['n/s/*', 'huge']]) {
      const from = stream.received.length;
      stream.send({ typeUrl: T, resourceNamesSubscribe: subscription, resourceNamesUnsubscribe: ['*'] });
      const seen: string[] = [];
      while (seen.length < 51) seen.push(...(await stream.next()).resources.map(({ name }) => name));
      t.deepEqual(seen.toSorted(), [...names, 'huge'].toSorted());
      for (const { resources } of stream.received.slice(from)) {
        const bytes = resources.reduce((sum, one) => sum + (one.resource?.value.length ?? 0), 0);
        t.true(bytes <= 2000 || resources.length === 1);
      }
      t.true(stream.received.length - from > 8);
    }
    const warning = serving.log.find(({ message }) => message.startsWith('a response is larger'));
    t.deepEqual(warning?.fields['resources'], ['huge']);
  },
  { limits: { responseBytes: 2000, clientReceiveBytes: 4000 } },
);

story('rule 18: fields that are newer than this server are skipped', async (t, { serving, stream }) => {
  serving.resources.put(T, { a: '1' });

  const known = encodeDelta({ typeUrl: T, resourceNamesSubscribe: ['a'] });
  const newer = Buffer.from([0x92, 0x03, 0x03, 1, 2, 3, 0xa0, 0x03, 0x07, 0xad, 0x03, 1, 2, 3, 4]);
  stream.sendBytes(Buffer.concat([newer, known, newer]));
  t.is(told(await stream.next()), '+a');
});
