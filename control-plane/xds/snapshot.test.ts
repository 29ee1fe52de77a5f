import test from 'ava';
import * as fc from 'fast-check';
import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { anyOf } from './resource.ts';
import {
  allResources,
  differenceOfSets,
  EMPTY_SET,
  findCollection,
  findResource,
  setLike,
  withResources,
} from './resource-set.ts';
import { createResource, EMPTY_SNAPSHOT, resourcesOf, SnapshotCell, withChanges } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';

const TYPE = 'type.googleapis.com/example.Thing';

function upsert(snapshot: Snapshot, name: string, content: string): Snapshot {
  return withChanges(snapshot, {
    upserts: [createResource(TYPE, name, Buffer.from(content))],
    removals: [],
  });
}

function removal(snapshot: Snapshot, name: string): Snapshot {
  return withChanges(snapshot, { upserts: [], removals: [{ typeUrl: TYPE, name }] });
}

function version(name: string, content: string): string {
  return createResource(TYPE, name, Buffer.from(content)).version;
}

function play(edits: readonly { name: string; content: string | undefined }[]): Snapshot {
  return edits.reduce(
    (into, one) =>
      one.content === undefined ? removal(into, one.name) : upsert(into, one.name, one.content),
    EMPTY_SNAPSHOT,
  );
}

test('a resource is one buffer that is an entry of either kind of response', (t) => {
  for (const size of [0, 1, 100, 127, 128, 20_000, 3_000_000]) {
    const value = Buffer.alloc(size, 7);
    const resource = createResource(TYPE, 'a/b', value);
    const delta = fromBinary(DeltaDiscoveryResponseSchema, resource.deltaEntry).resources[0];
    t.is(delta?.name, 'a/b');
    t.is(delta?.version, resource.version);
    t.is(delta?.resource?.typeUrl, TYPE);
    t.true(value.equals(delta?.resource?.value ?? Buffer.from('missing')));
    const sotw = fromBinary(DiscoveryResponseSchema, resource.sotwEntry).resources[0];
    t.is(sotw?.typeUrl, TYPE);
    t.true(value.equals(sotw?.value ?? Buffer.from('missing')));
    t.true(value.equals(fromBinary(AnySchema, anyOf(resource)).value));
    t.is(resource.sotwEntry.buffer, resource.deltaEntry.buffer);
  }
});

test('a version follows from name and content alone', (t) => {
  t.is(version('a', 'x'), version('a', 'x'));
  t.not(version('a', 'x'), version('a', 'y'));
  t.not(version('a', 'x'), version('b', 'x'));
  t.regex(version('a', 'x'), /^[0-9a-f]{16}$/u);
});

test('changes that change nothing return the same snapshot', (t) => {
  const snapshot = upsert(EMPTY_SNAPSHOT, 'a', 'x');
  t.is(upsert(snapshot, 'a', 'x'), snapshot);
  t.is(removal(snapshot, 'b'), snapshot);
  t.is(withChanges(snapshot, { upserts: [], removals: [] }), snapshot);
  t.is(resourcesOf(removal(snapshot, 'a'), TYPE).size, 0);
});

test('a collection holds the names one segment below it, and only those', (t) => {
  const names = ['a/b/1', 'a/b/2', 'a/b', 'a/b/c/1', 'x'];
  const set = resourcesOf(
    names.reduce((into, name) => upsert(into, name, 'v'), EMPTY_SNAPSHOT),
    TYPE,
  );
  t.deepEqual([...findCollection(set, 'a/b').keys()].toSorted(), ['a/b/1', 'a/b/2']);
  t.deepEqual([...findCollection(set, 'nobody').keys()], []);
  t.is(findResource(set, 'x')?.name, 'x');
  t.is(set.size, names.length);
});

test('the version of a set depends on what it holds, and not on how that came about', (t) => {
  const name = fc.constantFrom('a', 'b', 'n/a', 'n/b', 'n/m/a');
  const edit = fc.record({
    name,
    content: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(edit), fc.array(edit), (first, second) => {
      const one = resourcesOf(play(first), TYPE);
      const other = resourcesOf(play(second), TYPE);
      const differing: string[] = [];
      differenceOfSets(one, other, (at) => differing.push(at));
      t.is(one.version === other.version, differing.length === 0);
      t.is(one.size, [...allResources(one)].length);
    }),
  );
});

test('a set like another shares the collections that it holds as the other does, and is equal to one built anew', (t) => {
  const name = fc.constantFrom('a', 'b', 'n/s/1', 'n/s/2', 'n/t/1', 'n/t/2');
  const edit = fc.record({ name, content: fc.constantFrom('x', 'y', undefined) });
  fc.assert(
    fc.property(fc.array(edit), fc.array(edit), (edits, others) => {
      const other = resourcesOf(play(others), TYPE);
      const made = [...allResources(resourcesOf(play(edits), TYPE))];
      const resources = new Map(
        made.map((resource) => {
          const known = findResource(other, resource.name);
          return [resource.name, known?.version === resource.version ? known : resource];
        }),
      );
      const like = setLike(other, resources);
      const anew = withResources(EMPTY_SET, resources);
      t.is(like.version, anew.version);
      t.is(like.size, anew.size);
      differenceOfSets(anew, like, (differs) => t.fail(differs));
      for (const [key, collection] of like.collections) {
        const theirs = findCollection(other, key);
        const isEqual =
          theirs.size === collection.size &&
          [...collection].every(([at, one]) => theirs.get(at)?.version === one.version);
        t.is(collection === theirs, isEqual);
      }
    }),
  );
});

test('a cell tells each replacement once, and a no-op not at all', (t) => {
  const cell = new SnapshotCell();
  const told: [Snapshot, Snapshot][] = [];
  const end = cell.subscribe((previous, next) => told.push([previous, next]));
  const first = upsert(EMPTY_SNAPSHOT, 'a', 'x');
  cell.replace(first);
  cell.replace(first);
  end();
  cell.replace(EMPTY_SNAPSHOT);
  t.deepEqual(told, [[EMPTY_SNAPSHOT, first]]);
  t.is(cell.current, EMPTY_SNAPSHOT);
});
