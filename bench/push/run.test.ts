import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

// A bench that nobody runs rots, and what it counts besides time must be right at any size.
test('a few streams go through all phases: every change arrives, nothing is refused or sent again', async (t) => {
  const flags =
    '--servers cortexflow --streams 4 --services 30 --changes 5 --pause 1 --runs 1 --loads 2'.split(' ');
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, 'run.ts'),
    ...flags,
  ]);
  const { results } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    results: { cortexflow: Record<string, { median: number }> };
  };
  const median = (metric: string) => results.cortexflow[metric]?.median;
  t.is(median('stormRefusals'), 0);
  t.is(median('reconnectBytes'), 0);
  t.is(median('reconnectRefusals'), 0);
  t.is(median('lost'), 0);
  t.true(median('pushP50')! > 0);
});
