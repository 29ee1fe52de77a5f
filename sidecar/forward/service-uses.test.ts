import test from 'ava';
import { always, groupOf, SERVICE } from '../../test/forward/harness.ts';
import type { Decision } from '../services/decision.ts';
import { isGone, ServiceUses } from './service-uses.ts';

const MINUTES = 60_000;
const UNKNOWN: Decision = {
  action: 'refuse',
  reason: 'unknown-service',
  detail: 'There is no such Service.',
};

test('what is kept for a Service goes once that is gone and nobody has needed it for long', (t) => {
  const uses = new ServiceUses();
  const later = performance.now() + 6 * MINUTES;
  const names = (): string[] => Array.from(uses, ({ name }) => name);
  uses.of('inbound', '8080');
  const open = uses.of('outbound', 'demo/open');
  open.opened();
  uses.of('outbound', 'demo/idle');
  uses.sweep(later - 5 * MINUTES, () => true);
  t.deepEqual(names(), ['demo/open', 'demo/idle', '8080'], 'not long yet');
  uses.sweep(later, () => false);
  t.deepEqual(names(), ['demo/open', 'demo/idle', '8080'], 'still there');
  uses.sweep(later, () => true);
  t.deepEqual(names(), ['demo/open', '8080']);
  open.closed({ sentBytes: 1, receivedBytes: 2 }, 'complete', later);
  uses.sweep(later + 6 * MINUTES, () => true);
  t.deepEqual(names(), ['8080']);
});

test('gone is what is known to be no Service', (t) => {
  const use = new ServiceUses().of('outbound', SERVICE);
  t.true(isGone(use, always(UNKNOWN)));
  t.false(isGone(use, always({ ...UNKNOWN, reason: 'not-ready' })));
  t.false(isGone(use, always({ action: 'balance', group: groupOf([1]) })));
  t.false(isGone(new ServiceUses().of('outbound', 'pass-through'), always(UNKNOWN)));
});
