import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { XdsEngineOptions } from '../../control-plane/xds/engine.ts';
import { createXdsEngine } from '../../control-plane/xds/engine.ts';
import { SnapshotCell } from '../../control-plane/xds/snapshot.ts';
import type { DeltaDiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { deltaStream, sotwStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { recordingLogger, serve } from './serve.ts';
import type { Serving } from './serve.ts';

const GROUP = 'type.googleapis.com/example.Group';
const MEMBERS = 'type.googleapis.com/example.Members';

/** A group's content is its version, a colon, and the names of its members. */
const KINDS = {
  order: [GROUP, MEMBERS],
  fullStateTypes: [GROUP],
  references: [
    {
      from: GROUP,
      to: MEMBERS,
      names: (message: Uint8Array, name: string): readonly string[] => {
        const text = Buffer.from(message).toString();
        if (!text.includes(':')) throw new Error(`no colon in ${name}`);
        return text.slice(text.indexOf(':') + 1).split(' ');
      },
    },
  ],
} as const satisfies Partial<XdsEngineOptions>;

async function serving(t: ExecutionContext, options: Partial<XdsEngineOptions> = {}): Promise<Serving> {
  const served = await serve({ ...KINDS, ...options });
  t.teardown(() => served.stop());
  return served;
}

/** `+name` sent, `-name` removed. */
function summary({ typeUrl, resources, removedResources }: DeltaDiscoveryResponse): string {
  const sent = resources.map(({ name }) => `+${name}`).toSorted();
  const removed = removedResources.map((name) => `-${name}`).toSorted();
  return `${typeUrl === GROUP ? 'group' : 'members'}: ${[...sent, ...removed].join(' ')}`;
}

/** The next response, acknowledged. */
async function take(stream: DeltaStream): Promise<string> {
  const response = await stream.next();
  stream.send({ typeUrl: response.typeUrl, responseNonce: response.nonce });
  return summary(response);
}

let questions = 0;

async function isSilent(t: ExecutionContext, stream: DeltaStream): Promise<void> {
  questions += 1;
  const typeUrl = `type.googleapis.com/nobody.Knows${questions}`;
  stream.send({ typeUrl });
  t.is((await stream.next()).typeUrl, typeUrl);
}

async function subscribed(
  t: ExecutionContext,
  { address }: Serving,
  members: readonly string[],
): Promise<DeltaStream> {
  const stream = deltaStream(address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: GROUP });
  await take(stream);
  stream.send({ typeUrl: MEMBERS, resourceNamesSubscribe: [...members] });
  await take(stream);
  return stream;
}

for (const [covers, subscribe] of [
  ['names', ['a', 'b', 'n/s/1', 'n/s/2']],
  ['collections', ['a', 'b', 'n/s/*']],
  ['the wildcard', ['*']],
] as const) {
  test(`delta, members by ${covers}: given a group that changes, sends its members after it`, async (t) => {
    const served = await serving(t);
    const { resources } = served;
    resources.put(MEMBERS, { a: '1', b: '1', 'n/s/1': '1', 'n/s/2': '1' });
    resources.put(GROUP, { g: '1:a', h: '1:n/s/1 unknown' });
    const stream = await subscribed(t, served, subscribe);
    await isSilent(t, stream);

    resources.put(GROUP, { g: '2:a' });
    t.is(await take(stream), 'group: +g');
    t.is(await take(stream), 'members: +a');
    await isSilent(t, stream);

    resources.put(GROUP, { h: '2:n/s/1 unknown' });
    t.is(await take(stream), 'group: +h');
    t.is(await take(stream), 'members: +n/s/1');
    await isSilent(t, stream);

    resources.put(MEMBERS, { 'n/s/1': '2' });
    t.is(await take(stream), 'members: +n/s/1');
    await isSilent(t, stream);
  });
}

test('delta: given a group whose member does not exist, says so again', async (t) => {
  const served = await serving(t);
  served.resources.put(GROUP, { g: '1:gone' });
  const stream = await subscribed(t, served, ['gone']);
  served.resources.put(GROUP, { g: '2:gone' });
  t.is(await take(stream), 'group: +g');
  t.is(await take(stream), 'members: -gone');
  await isSilent(t, stream);
});

test('delta: given a member that changes with its group, sends it once, after the group', async (t) => {
  const served = await serving(t);
  served.resources.put(MEMBERS, { a: '1', b: '1' });
  served.resources.put(GROUP, { g: '1:a' });
  const stream = await subscribed(t, served, ['a', 'b']);
  served.resources.change({ [MEMBERS]: { a: '2', b: '2' }, [GROUP]: { g: '2:a' } });
  t.is(await take(stream), 'group: +g');
  t.is(await take(stream), 'members: +a +b');
  await isSilent(t, stream);
});

test('delta: given a client that claims a member after it received its group, sends the member', async (t) => {
  const served = await serving(t);
  const { resources, address } = served;
  resources.put(MEMBERS, { a: '1', b: '1' });
  resources.put(GROUP, { g: '1:a' });
  const first = deltaStream(address);
  first.send({ typeUrl: MEMBERS, resourceNamesSubscribe: ['a', 'b'] });
  const versions = Object.fromEntries(
    (await first.next()).resources.map(({ name, version }) => [name, version]),
  );
  first.close();

  const stream = deltaStream(address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: GROUP });
  t.is(await take(stream), 'group: +g');
  stream.send({
    typeUrl: MEMBERS,
    resourceNamesSubscribe: ['a', 'b'],
    initialResourceVersions: versions,
  });
  t.is(await take(stream), 'members: +a');
  await isSilent(t, stream);
});

test('state of the world: given a group that changes, sends the members of that group alone', async (t) => {
  const { resources, address } = await serving(t);
  resources.put(MEMBERS, { a: 'a', b: 'b' });
  resources.put(GROUP, { g: '1:a', h: '1:b' });
  const stream = sotwStream(address);
  t.teardown(() => stream.close());
  const next = async (): Promise<string[]> => {
    const { typeUrl, nonce, resources: sent } = await stream.next();
    const resourceNames = typeUrl === MEMBERS ? ['a', 'b'] : [];
    stream.send({ typeUrl, responseNonce: nonce, resourceNames });
    return sent.map(({ value }) => Buffer.from(value).toString()).toSorted();
  };
  stream.send({ typeUrl: GROUP });
  t.deepEqual(await next(), ['1:a', '1:b']);
  stream.send({ typeUrl: MEMBERS, resourceNames: ['a', 'b'] });
  t.deepEqual(await next(), ['a', 'b']);
  resources.put(GROUP, { g: '2:a' });
  t.deepEqual(await next(), ['1:b', '2:a']);
  t.deepEqual(await next(), ['a']);
});

test('given a group that cannot be read, logs its name and sends it', async (t) => {
  const served = await serving(t);
  served.resources.put(MEMBERS, { a: '1' });
  served.resources.put(GROUP, { g: 'nonsense' });
  const stream = await subscribed(t, served, ['a']);
  await isSilent(t, stream);
  t.deepEqual(
    served.log.map(({ level, message, fields }) => [level, message, fields['resource']]),
    [['warn', 'Could not read what a resource refers to', 'g']],
  );
});

test('given an order in which a type comes before what refers to it, refuses to start', (t) => {
  const { references } = KINDS;
  for (const order of [[MEMBERS, GROUP], [MEMBERS], []]) {
    t.throws(
      () =>
        createXdsEngine({ snapshots: new SnapshotCell(), logger: recordingLogger([]), order, references }),
      {
        message: `references: ${GROUP} refers to ${MEMBERS}, so put ${GROUP} before ${MEMBERS} in the engine's order.`,
      },
    );
  }
});
