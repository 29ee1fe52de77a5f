import test from 'ava';
import { RetryBudget } from './retry-budget.ts';

function spend(budget: RetryBudget, nowMs: number): number {
  let spent = 0;
  while (budget.withdraw(nowMs)) spent++;
  return spent;
}

test('starts with enough for a burst, then earns by time and by connections, never more than the most', (t) => {
  const budget = new RetryBudget(0);
  t.is(spend(budget, 0), 100);
  t.is(spend(budget, 1_000), 10);
  for (let connection = 0; connection < 51; connection++) budget.deposit();
  t.is(spend(budget, 1_000), 10);
  for (let connection = 0; connection < 5_000; connection++) budget.deposit();
  t.is(spend(budget, 3_600_000), 100);
});
