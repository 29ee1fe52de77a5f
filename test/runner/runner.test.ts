import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { isRunning } from '../system/programs.ts';
import { until } from '../until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const AVA = 'node_modules/.bin/ava';

interface Run {
  readonly code: number;
  readonly output: string;
}

/** Runs ava on one of the files in hanging/, to its end. */
async function run(name: string, ...words: readonly string[]): Promise<Run> {
  const args = [
    AVA,
    ...words,
    '--config',
    'test/runner/hanging/ava.config.mjs',
    `test/runner/hanging/${name}.case.ts`,
  ];
  const environment = { PATH: process.env['PATH'], CORTEXFLOW_TEST_CLOSING_MS: '500' };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env: environment }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

async function noneIsLeft(t: ExecutionContext, { output }: Run, count: number): Promise<void> {
  const ids = [...output.matchAll(/started ([\d ]+)/gu)].flatMap(([, all = '']) =>
    all.split(' ').map(Number),
  );
  t.is(ids.length, count);
  await until(
    'no process of the test is left',
    () => ids.filter(isRunning),
    ({ length }) => length === 0,
  );
}

test('a test that hangs fails by name, is torn down, and leaves no process behind', async (t) => {
  const ended = await run('waits');
  t.is(ended.code, 1);
  t.regex(ended.output, /“waits for what never comes” did not end within 0\.5 s/u);
  t.regex(ended.output, /torn down/u);
  t.regex(ended.output, /✔ goes on beside it/u);
  await noneIsLeft(t, ended, 2);
});

test('a file that leaves something open fails with what it is', async (t) => {
  const { code, output } = await run('leaves-open');
  t.is(code, 1);
  t.regex(output, /This file still holds TCPServerWrap 0\.5 s after its last test/u);
});

test('a test that blocks its process is named, and that process ends with what it started', async (t) => {
  const ended = await run('blocks', '--timeout=20s');
  t.is(ended.code, 1);
  t.regex(ended.output, /◌ never gives the event loop a turn/u);
  await noneIsLeft(t, ended, 1);
});
