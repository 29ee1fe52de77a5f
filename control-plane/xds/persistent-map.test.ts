import test from 'ava';
import * as fc from 'fast-check';
import { difference, emptyMap } from './persistent-map.ts';
import type { PersistentMap } from './persistent-map.ts';

const key = fc.integer({ min: 0, max: 400 }).map((n) => `key-${n}`);
const edit = fc.record({ key, value: fc.option(fc.integer(), { nil: undefined }) });

function apply(map: PersistentMap<number>, edits: readonly { key: string; value: number | undefined }[]) {
  return edits.reduce(
    (into, { key: name, value }) => (value === undefined ? into.delete(name) : into.set(name, value)),
    map,
  );
}

function sorted(entries: Iterable<readonly [string, number]>): string[] {
  return [...entries].map(([name, value]) => `${name}=${value}`).toSorted();
}

function differences(before: PersistentMap<number>, after: PersistentMap<number>): string[] {
  const found: string[] = [];
  difference(before, after, (name, was, is) => found.push(`${name}: ${was} → ${is}`));
  return found.toSorted();
}

test('holds what a Map holds, and every earlier version stays as it was', (t) => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 600 }), fc.array(edit, { maxLength: 50 }), (first, second) => {
      const model = new Map<string, number>();
      const play = (edits: typeof first): void => {
        for (const { key: name, value } of edits) {
          if (value === undefined) model.delete(name);
          else model.set(name, value);
        }
      };
      play(first);
      const before = apply(emptyMap<number>(), first);
      const frozen = sorted(before);
      t.deepEqual(frozen, sorted(model));
      t.is(before.size, model.size);
      play(second);
      const after = apply(before, second);
      t.deepEqual(sorted(after), sorted(model));
      t.deepEqual(sorted(before), frozen);
    }),
    { numRuns: 50 },
  );
});

test('tells two versions apart exactly', (t) => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 600 }), fc.array(edit, { maxLength: 50 }), (first, second) => {
      const before = apply(emptyMap<number>(), first);
      const after = apply(before, second);
      const names = new Set([...before.keys(), ...after.keys()]);
      const expected = [...names]
        .filter((name) => before.get(name) !== after.get(name))
        .map((name) => `${name}: ${before.get(name)} → ${after.get(name)}`);
      t.deepEqual(differences(before, after), expected.toSorted());
    }),
    { numRuns: 50 },
  );
});

test('edits in one step equal edits one by one', (t) => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 300 }), fc.array(edit, { maxLength: 300 }), (first, second) => {
      const before = apply(emptyMap<number>(), first);
      const drafted = before.edit((draft) => {
        for (const { key: name, value } of second) {
          if (value === undefined) draft.delete(name);
          else draft.set(name, value);
        }
      });
      t.deepEqual(differences(apply(before, second), drafted), []);
      t.deepEqual(differences(apply(emptyMap<number>(), first), before), []);
    }),
    { numRuns: 50 },
  );
});

function removedOrChanged(value: number): number | undefined {
  return value % 3 === 0 ? undefined : value % 3 === 1 ? value + 1 : value;
}

test('revises each value until it is done, as edits one by one do', (t) => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 600 }), fc.nat(600), (edits, most) => {
      const before = apply(emptyMap<number>(), edits);
      const frozen = sorted(before);
      const seen: string[] = [];
      const after = before.revise(
        (name, value) => {
          seen.push(name);
          return removedOrChanged(value);
        },
        () => seen.length >= most,
      );
      t.deepEqual(seen, [...before.keys()].slice(0, most));
      const expected = apply(
        before,
        seen.map((name) => ({ key: name, value: removedOrChanged(before.get(name) as number) })),
      );
      t.deepEqual(sorted(after), sorted(expected));
      t.is(after.size, expected.size);
      t.deepEqual(sorted(before), frozen);
    }),
    { numRuns: 50 },
  );
});

test('a map that is revised into itself is the same map', (t) => {
  const map = apply(emptyMap<number>(), [{ key: 'a', value: 1 }]);
  t.is(
    map.revise((_, value) => value),
    map,
  );
  t.is(
    map.revise(() => undefined),
    emptyMap<number>(),
  );
});

test('what a change does not touch is shared with the map before', (t) => {
  const before = emptyMap<number>().edit((draft) => {
    for (let n = 0; n < 10_000; n += 1) draft.set(`key-${n}`, n);
  });
  t.is(before.set('key-5', 5), before);
  t.is(before.delete('absent'), before);
  t.deepEqual(differences(before, before.set('key-5', 0)), ['key-5: 5 → 0']);
  t.is(
    before.edit((draft) => [...before.keys()].forEach((name) => draft.delete(name))),
    emptyMap<number>(),
  );
});
