import test from 'ava';
import type { MeshEvent } from '../mesh/state.ts';
import type { Entry } from './catalog.ts';
import { Catalog } from './catalog.ts';

function entry(name: string, object: unknown, origin: string): Entry {
  return { identity: { kind: 'Service', namespace: 'demo', name }, object, origin };
}

function upsert(object: unknown, origin: string): MeshEvent {
  return { type: 'upsert', object, origin };
}

function gone(name: string): MeshEvent {
  return { type: 'delete', kind: 'Service', namespace: 'demo', name };
}

test('what a file has is told when it comes, changes and goes, and not otherwise', (t) => {
  const catalog = new Catalog();
  const object = {};
  catalog.setFile('a.yaml', [entry('x', object, 'a.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), [upsert(object, 'a.yaml:1')]);
  catalog.setFile('a.yaml', [entry('x', object, 'a.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), []);
  catalog.setFile('a.yaml', [entry('x', 'changed', 'a.yaml:1'), entry('y', 1, 'a.yaml:9')]);
  t.deepEqual(catalog.takeEvents(), [upsert('changed', 'a.yaml:1'), upsert(1, 'a.yaml:9')]);
  catalog.removeFile('a.yaml');
  t.deepEqual(catalog.takeEvents(), [gone('x'), gone('y')]);
});

test('of several claims the first stays, and the next enters when it goes', (t) => {
  const catalog = new Catalog();
  catalog.setFile('b.yaml', [entry('x', 'b', 'b.yaml:1')]);
  catalog.setFile('a.yaml', [entry('x', 'a', 'a.yaml:1'), entry('x', 'again', 'a.yaml:5')]);
  t.deepEqual(catalog.takeEvents(), [upsert('b', 'b.yaml:1')]);
  t.deepEqual(catalog.duplicates, [
    {
      object: 'Service demo/x',
      origin: 'a.yaml:1',
      problems: ['is in b.yaml:1 as well, which was there first and stays: remove one of the two'],
    },
    {
      object: 'Service demo/x',
      origin: 'a.yaml:5',
      problems: ['is in b.yaml:1 as well, which was there first and stays: remove one of the two'],
    },
  ]);
  catalog.setFile('b.yaml', [entry('x', 'b2', 'b.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), [upsert('b2', 'b.yaml:1')], 'the holder may change');
  catalog.setFile('a.yaml', [entry('x', 'a', 'a.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), []);
  catalog.removeFile('b.yaml');
  t.deepEqual(catalog.takeEvents(), [upsert('a', 'a.yaml:1')]);
  t.deepEqual(catalog.duplicates, []);
});

test('an object that moves from file to file is never gone in between', (t) => {
  const catalog = new Catalog();
  catalog.setFile('a.yaml', [entry('x', 1, 'a.yaml:1')]);
  catalog.takeEvents();
  catalog.removeFile('a.yaml');
  catalog.setFile('b.yaml', [entry('x', 1, 'b.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), [upsert(1, 'b.yaml:1')]);
});

test('what a file has no more stays where the file is illegible in part', (t) => {
  const catalog = new Catalog();
  catalog.setFile('a.yaml', [entry('x', 1, 'a.yaml:1'), entry('y', 1, 'a.yaml:5')]);
  catalog.takeEvents();
  catalog.setFile('a.yaml', [entry('y', 2, 'a.yaml:5')], 'stays');
  t.deepEqual(catalog.takeEvents(), [upsert(2, 'a.yaml:5')]);
  catalog.setFile('b.yaml', [entry('x', 3, 'b.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), []);
  t.is(catalog.duplicates.length, 1);
  catalog.removeFile('b.yaml');
  catalog.setFile('a.yaml', [entry('y', 2, 'a.yaml:5')]);
  t.deepEqual(catalog.takeEvents(), [gone('x')]);
});

test('what a file lacks for the moment stays, and gives way to where it moved', (t) => {
  const catalog = new Catalog();
  const [x, y] = [entry('x', 1, 'a.yaml:1'), entry('y', 1, 'a.yaml:5')];
  catalog.setFile('a.yaml', [x, y]);
  catalog.takeEvents();
  catalog.setFile('a.yaml', [], 'gives-way');
  t.deepEqual(catalog.takeEvents(), []);
  catalog.setFile('b.yaml', [entry('x', 2, 'b.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), [upsert(2, 'b.yaml:1')]);
  t.deepEqual(catalog.duplicates, []);
  catalog.setFile('a.yaml', []);
  t.deepEqual(catalog.takeEvents(), [gone('y')]);
});

test('what was missing for a moment only has its place again', (t) => {
  const catalog = new Catalog();
  const x = entry('x', 1, 'a.yaml:1');
  catalog.setFile('a.yaml', [x]);
  catalog.takeEvents();
  catalog.setFile('a.yaml', [], 'gives-way');
  catalog.setFile('a.yaml', [x], 'gives-way');
  catalog.setFile('b.yaml', [entry('x', 2, 'b.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), []);
  t.is(catalog.duplicates[0]?.origin, 'b.yaml:1');
});

test('what came and went untold is not told', (t) => {
  const catalog = new Catalog();
  catalog.setFile('a.yaml', [entry('x', 1, 'a.yaml:1')]);
  catalog.removeFile('a.yaml');
  t.deepEqual(catalog.takeEvents(), []);
});
