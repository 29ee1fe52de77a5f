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

test('given changes of a file, tells what came, changed and went, and nothing else', (t) => {
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
  catalog.setFile('a.yaml', [entry('x', 1, 'a.yaml:1')]);
  catalog.removeFile('a.yaml');
  t.deepEqual(catalog.takeEvents(), [], 'what came and went in between');
});

test('given several copies, the last one in the order of kubectl counts, whichever came first', (t) => {
  const files: Readonly<Record<string, readonly Entry[]>> = {
    'a.yaml': [entry('x', 1, 'a.yaml:1'), entry('x', 2, 'a.yaml:5')],
    'a/b.yaml': [entry('x', 3, 'a/b.yaml:1')],
    'a-b.yaml': [entry('x', 4, 'a-b.yaml:1')],
  };
  for (const names of [Object.keys(files), Object.keys(files).toReversed()]) {
    const catalog = new Catalog();
    for (const name of names) catalog.setFile(name, files[name] ?? []);
    t.deepEqual(catalog.takeEvents(), [upsert(2, 'a.yaml:5')]);
    const problems = ['is in a.yaml:5 as well, which comes later and counts: remove one of the two'];
    t.deepEqual(
      catalog.duplicates,
      ['a/b.yaml:1', 'a-b.yaml:1', 'a.yaml:1'].map((origin) => ({
        object: 'Service demo/x',
        origin,
        problems,
      })),
    );
    catalog.removeFile('a.yaml');
    t.deepEqual(catalog.takeEvents(), [upsert(4, 'a-b.yaml:1')]);
    catalog.removeFile('a-b.yaml');
    t.deepEqual(catalog.takeEvents(), [upsert(3, 'a/b.yaml:1')]);
    t.deepEqual(catalog.duplicates, []);
  }
});

test('given an object that a file lacks for the moment, keeps it until another file has it', (t) => {
  const catalog = new Catalog();
  catalog.setFile('b.yaml', [entry('x', 1, 'b.yaml:1'), entry('y', 1, 'b.yaml:5')]);
  catalog.takeEvents();
  catalog.setFile('b.yaml', [], true);
  t.deepEqual(catalog.takeEvents(), []);
  catalog.setFile('a.yaml', [entry('x', 2, 'a.yaml:1')]);
  t.deepEqual(catalog.takeEvents(), [upsert(2, 'a.yaml:1')]);
  t.deepEqual(catalog.duplicates, []);
  catalog.removeFile('a.yaml');
  t.deepEqual(catalog.takeEvents(), [upsert(1, 'b.yaml:1')]);
  catalog.dropKept('b.yaml');
  t.deepEqual(catalog.takeEvents(), [gone('x'), gone('y')]);
});

test('given an object that is back, counts the file as having it', (t) => {
  const catalog = new Catalog();
  const x = entry('x', 1, 'b.yaml:1');
  catalog.setFile('b.yaml', [x]);
  catalog.setFile('b.yaml', [], true);
  catalog.setFile('b.yaml', [x], true);
  catalog.dropKept('b.yaml');
  t.deepEqual(catalog.takeEvents(), [upsert(1, 'b.yaml:1')]);
});

test('given fifty thousand copies of one object, still looks at each once or twice', (t) => {
  const catalog = new Catalog();
  let reads = 0;
  const copies = Array.from({ length: 50_000 }, (_, index) => {
    const copy = entry('x', index, `a.yaml:${index}`);
    return {
      ...copy,
      get identity() {
        reads += 1;
        return copy.identity;
      },
    };
  });
  catalog.setFile('a.yaml', copies);
  t.deepEqual(catalog.takeEvents(), [upsert(49_999, 'a.yaml:49999')]);
  t.true(reads <= 100_000, String(reads));
});
