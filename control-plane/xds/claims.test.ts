import test from 'ava';
import { ClaimsReading, readAllClaims } from './claims.ts';
import type { History, ReadClaims } from './claims.ts';
import { readDeltaRequest } from './request.ts';
import { EMPTY_SET, findResource, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { createResource, lengthPrefix, stringField, UNKNOWN_VERSION } from './resource.ts';

const T = 'type.googleapis.com/example.Thing';

function setOf(contents: Readonly<Record<string, string>>): ResourceSet {
  const resources = Object.entries(contents).map(
    ([name, text]) => [name, createResource(T, name, Buffer.from(text))] as const,
  );
  return withResources(EMPTY_SET, resources);
}

function entry(name: string, version: string): Buffer {
  return Buffer.concat([stringField(1, name), stringField(2, version)]);
}

function requestOf(entries: readonly Buffer[]): Buffer {
  return Buffer.concat(entries.flatMap((bytes) => [lengthPrefix(5, bytes.length), bytes]));
}

interface Asked {
  readonly history?: History;
  readonly subscribe?: readonly string[];
  readonly chunkBytes?: number;
}

function read(entries: readonly Buffer[], asked: Asked = {}): ReadClaims {
  const { history = { set, recent }, subscribe = [], chunkBytes = 1000 } = asked;
  return readAllClaims(readDeltaRequest(requestOf(entries)).claims, history, { subscribe, chunkBytes });
}

function heldBy(versions: readonly (readonly [string, string])[], history?: History): ResourceSet {
  const entries = versions.map(([name, version]) => entry(name, version));
  const asked = history ?? { set, recent };
  return read(entries, { history: asked }).resolve(asked);
}

function versionsOf(set: ResourceSet, names: readonly string[]): [string, string][] {
  return names.map((name) => [name, findResource(set, name)?.version ?? '']);
}

const set = setOf({ a: '1', b: '2', 'n/s/1': '3', ['long/'.repeat(40)]: '4' });
const all = ['a', 'b', 'n/s/1', 'long/'.repeat(40)];
const recent = new Map<string, ResourceSet>();

test('who holds all of the current set holds that very set, whatever the order', (t) => {
  t.is(heldBy(versionsOf(set, all), { set, recent }), set);
  t.is(heldBy(versionsOf(set, all.toReversed()), { set, recent }), set);
});

test('who holds all of an earlier set holds that very set', (t) => {
  const next = withResources(set, [['a', createResource(T, 'a', Buffer.from('5'))]]);
  const history = { set: next, recent: new Map([[set.version, set]]) };
  t.is(heldBy(versionsOf(set, all), history), set);
});

test('anything else is looked at name by name', (t) => {
  const some = heldBy(versionsOf(set, ['a', 'b']));
  t.is(some.size, 2);
  t.is(findResource(some, 'a'), findResource(set, 'a'));
  const other = setOf({ a: '1', b: '2', c: '3' });
  const swapped = heldBy(
    [
      ['a', findResource(set, 'b')?.version ?? ''],
      ['b', findResource(set, 'a')?.version ?? ''],
    ],
    { set: other, recent },
  );
  t.not(findResource(swapped, 'a')?.version, findResource(set, 'a')?.version);
  t.is(findResource(swapped, 'c'), undefined);
  t.is(findResource(heldBy([['a', 'v1']]), 'a')?.version, UNKNOWN_VERSION);
});

test('given claims of nearly all of the current set, shares the rest of it', (t) => {
  const many = setOf(
    Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`n/${at % 10}/${at}`, 'x'])),
  );
  const held = versionsOf(
    many,
    Array.from({ length: 999 }, (_, at) => `n/${at % 10}/${at}`),
  );
  const claims = read(
    held.map(([name, version]) => entry(name, version)),
    { history: { set: many, recent } },
  );
  const resolved = claims.resolve({ set: many, recent });
  t.is(resolved.size, 999);
  t.is(resolved.collections.get('n/3'), many.collections.get('n/3'));
  t.true(claims.bytes < 1000, `${claims.bytes} bytes for one difference`);
});

test('an entry may have its fields in any order, and others', (t) => {
  const version = findResource(set, 'a')?.version ?? '';
  const odd = Buffer.concat([stringField(2, version), stringField(9, 'newer'), stringField(1, 'a')]);
  t.is(findResource(read([odd]).resolve({ set, recent }), 'a'), findResource(set, 'a'));
});

test('bytes that are no entry are refused when they are read', (t) => {
  t.throws(() => read([Buffer.from([0x0a, 0x7f, 1])]));
  t.throws(() => read([Buffer.from([0xff])]));
});

test('given names that do not exist, keeps those that the subscription covers as bytes, in chunks', (t) => {
  const names = ['n/s/gone', 'other/gone', 'explicit', 'a', '\u{1F600}'.repeat(100)];
  const entries = names.map((name) => entry(name, UNKNOWN_VERSION));
  const everything = read(entries, { subscribe: [], chunkBytes: 20 });
  t.deepEqual(
    [1, 2, 3, 4].map(() => everything.gone.take(() => true)),
    [['n/s/gone'], ['other/gone'], ['explicit'], [names[4]]],
  );
  t.is(everything.gone.bytes, 0);
  const some = read(entries, { subscribe: ['n/s/*', 'explicit'] });
  t.deepEqual(
    some.gone.take(() => true),
    ['n/s/gone'],
  );
  t.is(some.resolve({ set, recent }).size, 0);
});

test('given a name that exists again by the time it is taken, leaves it out', (t) => {
  const { gone } = read([entry('x', UNKNOWN_VERSION), entry('y', UNKNOWN_VERSION)]);
  t.deepEqual(
    gone.take((name) => name !== 'x'),
    ['y'],
  );
});

test('given invented claims, holds no more than the bytes of their names', (t) => {
  const entries = Array.from({ length: 5000 }, (_, at) => entry(`invented/${at}`, UNKNOWN_VERSION));
  const names = entries.reduce((sum, { length }) => sum + length - 20, 0);
  const { bytes, gone } = read(entries);
  t.is(bytes, 0);
  t.true(gone.bytes <= names + 2 * entries.length);
});

test('given too little time, reads on where it stopped', (t) => {
  const entries = Array.from({ length: 1000 }, (_, at) => entry(`invented/${at}`, UNKNOWN_VERSION));
  const { claims } = readDeltaRequest(requestOf([...entries, entry('a', UNKNOWN_VERSION)]));
  const reading = new ClaimsReading(claims, { set, recent }, { subscribe: [], chunkBytes: 1e6 });
  let slices = 1;
  let result = reading.advance(() => false);
  for (; result === undefined; result = reading.advance(() => false)) slices += 1;
  t.true(slices > 10);
  t.is(result.gone.take(() => true).length, 1000);
  t.is(findResource(result.resolve({ set, recent }), 'a')?.version, UNKNOWN_VERSION);
});
