import test from 'ava';
import * as fc from 'fast-check';
import { FlowTable, type Used } from './flow-table.ts';

function flow(key: string, nowMs: number): Used {
  return { key, usedAtMs: nowMs, placedAtMs: nowMs };
}

test('whatever is used when, the quiet ones are found, all of them', (t) => {
  const steps = fc.array(fc.record({ key: fc.nat(9), afterMs: fc.nat(3_000) }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.nat(5_000), (uses, quietMs) => {
      const table = new FlowTable<Used>();
      const lastUse = new Map<string, number>();
      let nowMs = 0;
      for (const { key, afterMs } of uses) {
        nowMs += afterMs;
        const known = table.get(String(key));
        if (known) table.used(known, nowMs);
        else table.add(flow(String(key), nowMs));
        lastUse.set(String(key), nowMs);
      }
      const sinceMs = nowMs - quietMs;
      const quiet = [...table.quietSince(sinceMs)].map(({ key }) => key);
      const wanted = [...lastUse].filter(([, at]) => at <= sinceMs).map(([key]) => key);
      t.deepEqual(quiet.toSorted(), wanted.toSorted());
    }),
  );
});

test('the quietest makes room, a second more or less', (t) => {
  const table = new FlowTable<Used>();
  for (const key of ['a', 'b', 'c']) table.add(flow(key, 0));
  table.used(table.get('a')!, 1_000);
  t.is(table.quietest?.key, 'b');
  table.remove(table.get('b')!);
  t.is(table.quietest?.key, 'c');
  t.is(table.size, 2);
});

test('one that was removed is not brought back by a late use', (t) => {
  const table = new FlowTable<Used>();
  const gone = flow('a', 0);
  table.add(gone);
  table.remove(gone);
  table.add(flow('a', 5));
  table.used(gone, 10_000);
  table.remove(gone);
  t.is(table.get('a')?.usedAtMs, 5);
});
