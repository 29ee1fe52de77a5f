import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

// A bench that nobody runs rots, and what it counts besides time must be right at any size.
test('a few streams go through all phases: every change arrives, nothing is refused or sent again', async (t) => {
  const median = await medians(
    '--servers cortexflow --streams 4 --services 30 --changes 5 --pause 1 --runs 1 --loads 2',
  );
  t.is(median('stormRefusals'), 0);
  t.is(median('reconnectBytes'), 0);
  t.is(median('reconnectRefusals'), 0);
  t.is(median('lost'), 0);
  t.true(median('pushP50')! > 0);
});

test('streams that each name many collections, the same or at random: nothing is refused or sent again', async (t) => {
  const median = await medians(
    '--servers cortexflow,floor --streams 4 --names 20 --changes 2 --pause 1 --runs 1 --loads 2',
  );
  for (const names of ['same', 'sampled']) {
    t.is(median(`${names}ReconnectBytes`), 0);
    t.is(median(`${names}Refusals`), 0);
    t.is(median(`${names}Lost`), 0);
    t.true(median(`${names}PushP50`)! > 0);
  }
});

async function medians(flags: string): Promise<(metric: string) => number | undefined> {
  const script = join(import.meta.dirname, 'run.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...flags.split(' ')]);
  const { results } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    results: { cortexflow: Record<string, { median: number }> };
  };
  return (metric) => results.cortexflow[metric]?.median;
}
