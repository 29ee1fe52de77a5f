import test from 'ava';
import { claimsOf } from './claims.ts';
import type { Claims } from './claims.ts';
import { EMPTY_SET, findResource, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { createResource, stringField, UNKNOWN_VERSION } from './resource.ts';

const T = 'type.googleapis.com/example.Thing';

function setOf(contents: Readonly<Record<string, string>>): ResourceSet {
  const resources = Object.entries(contents).map(
    ([name, text]) => [name, createResource(T, name, Buffer.from(text))] as const,
  );
  return withResources(EMPTY_SET, resources);
}

function claims(versions: readonly (readonly [string, string])[]): Claims {
  return claimsOf(
    versions.map(([name, version]) => Buffer.concat([stringField(1, name), stringField(2, version)])),
  );
}

function versionsOf(set: ResourceSet, names: readonly string[]): [string, string][] {
  return names.map((name) => [name, findResource(set, name)?.version ?? '']);
}

const set = setOf({ a: '1', b: '2', 'n/s/1': '3', ['long/'.repeat(40)]: '4' });
const all = ['a', 'b', 'n/s/1', 'long/'.repeat(40)];
const recent = new Map<string, ResourceSet>();

test('who holds all of the current set holds that very set, whatever the order', (t) => {
  t.is(claims(versionsOf(set, all)).resolve({ set, recent }), set);
  t.is(claims(versionsOf(set, all.toReversed())).resolve({ set, recent }), set);
});

test('who holds all of an earlier set holds that very set', (t) => {
  const next = withResources(set, [['a', createResource(T, 'a', Buffer.from('5'))]]);
  const history = { set: next, recent: new Map([[set.version, set]]) };
  t.is(claims(versionsOf(set, all)).resolve(history), set);
});

test('anything else is looked at name by name', (t) => {
  const some = claims(versionsOf(set, ['a', 'b'])).resolve({ set, recent });
  t.is(some.size, 2);
  t.is(findResource(some, 'a'), findResource(set, 'a'));
  const swapped = claims([
    ['a', findResource(set, 'b')?.version ?? ''],
    ['b', findResource(set, 'a')?.version ?? ''],
  ]).resolve({ set: setOf({ a: '1', b: '2', c: '3' }), recent });
  t.not(findResource(swapped, 'a')?.version, findResource(set, 'a')?.version);
  const foreign = claims([['a', 'v1']]).resolve({ set, recent });
  t.is(findResource(foreign, 'a')?.version, UNKNOWN_VERSION);
});

test('an entry may have its fields in any order, and others', (t) => {
  const version = findResource(set, 'a')?.version ?? '';
  const entry = Buffer.concat([stringField(2, version), stringField(9, 'newer'), stringField(1, 'a')]);
  t.is(findResource(claimsOf([entry]).resolve({ set, recent }), 'a'), findResource(set, 'a'));
});

test('bytes that are no entry are refused when they are read', (t) => {
  t.throws(() => claimsOf([Buffer.from([0x0a, 0x7f, 1])]));
  t.throws(() => claimsOf([Buffer.from([0xff])]));
});
