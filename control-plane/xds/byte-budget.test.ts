import test from 'ava';
import { ByteBudget, HeldBytes } from './byte-budget.ts';

test('given a caller at its limit, refuses it more and leaves the rest to others', (t) => {
  const budget = new ByteBudget({ perCaller: 100, total: 150 });
  const one = new HeldBytes<'names' | 'node'>(budget, 'one');
  const other = new HeldBytes<'names'>(budget, 'other');
  t.is(one.set('names', 60), undefined);
  t.is(one.set('node', 50), 'caller');
  t.is(one.set('node', 40), undefined);
  t.is(other.set('names', 60), 'process');
  t.is(other.set('names', 50), undefined);
  t.is(budget.total, 150);
});

test('given a use that shrinks or a stream that ends, has room again', (t) => {
  const budget = new ByteBudget({ perCaller: 100, total: 100 });
  const first = new HeldBytes<'names'>(budget, 'one');
  const second = new HeldBytes<'names'>(budget, 'one');
  first.set('names', 90);
  t.is(second.set('names', 20), 'caller');
  first.set('names', 80);
  t.is(second.set('names', 20), undefined);
  first.release();
  second.release();
  t.is(budget.total, 0);
  t.is(budget.of('one'), 0);
});

test('given a process without room, still has some for a caller that holds little', (t) => {
  const budget = new ByteBudget({ perCaller: 4096, total: 4096 });
  const greedy = new HeldBytes<'names'>(budget, 'greedy');
  const modest = new HeldBytes<'names'>(budget, 'modest');
  t.is(greedy.set('names', 4096), undefined);
  t.is(modest.set('names', 4), undefined);
  t.is(modest.set('names', 5), 'process');
});
