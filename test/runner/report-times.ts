/** Runs ava with the arguments given, and then prints which test files and tests took longest. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileTimes, readTimes, TIMES_VARIABLE } from './times.ts';

const MOST_LINES = 40;

function line(ms: number, text: string): string {
  return `${(ms / 1_000).toFixed(1).padStart(8)} s  ${text}\n`;
}

function longest<T extends { readonly ms: number }>(all: readonly T[]): readonly T[] {
  return all.toSorted((one, other) => other.ms - one.ms).slice(0, MOST_LINES);
}

function report(files: readonly FileTimes[], wallMs: number): string {
  const sum = (of: (times: FileTimes) => number) => files.reduce((total, each) => total + of(each), 0);
  const tests = files.flatMap(({ file, tests: own }) =>
    own.map(({ title, ms }) => ({ ms, text: `${file}: ${title}` })),
  );
  return [
    `\n${files.length} files and ${tests.length} tests and hooks\n`,
    line(wallMs, 'from start to end'),
    line(
      sum(({ ms }) => ms),
      'in all files together',
    ),
    line(
      sum(({ cpuMs }) => cpuMs),
      'of CPU in all files together, without the programs that they start',
    ),
    '\nThe files that took longest, from the start of the process to its end\n',
    ...longest(files).map(({ file, ms, cpuMs }) => line(ms, `${file} (CPU ${(cpuMs / 1_000).toFixed(1)} s)`)),
    '\nThe tests and hooks that took longest; those of one file run at the same time as a rule\n',
    ...longest(tests).map(({ ms, text }) => line(ms, text)),
  ].join('');
}

const folder = mkdtempSync(join(tmpdir(), 'cortexflow-test-times-'));
const startedMs = performance.now();
const { status } = spawnSync('ava', process.argv.slice(2), {
  stdio: 'inherit',
  env: { ...process.env, [TIMES_VARIABLE]: folder },
});
process.stdout.write(report(readTimes(folder), performance.now() - startedMs));
rmSync(folder, { recursive: true });
process.exitCode = status ?? 1;
