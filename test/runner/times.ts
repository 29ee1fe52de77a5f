/** How long test files and tests take: each worker leaves a record, where the environment says so. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const TIMES_VARIABLE = 'CORTEXFLOW_TEST_TIMES';

export interface FileTimes {
  /** From the top of the tree. */
  readonly file: string;
  /** From the start of its process, which loads what it imports, to its end. */
  readonly ms: number;
  /** Of its process, without the programs that it starts. */
  readonly cpuMs: number;
  readonly tests: readonly TestTime[];
}

export interface TestTime {
  readonly title: string;
  readonly ms: number;
}

/** Returns what a test calls when it starts; that returns what it calls when it ends. */
export function recordTimes(file: string): (title: string) => () => void {
  const folder = process.env[TIMES_VARIABLE];
  if (folder === undefined) return () => () => {};
  const tests: TestTime[] = [];
  process.once('exit', () => {
    const { user, system } = process.cpuUsage();
    const times: FileTimes = { file, ms: process.uptime() * 1_000, cpuMs: (user + system) / 1_000, tests };
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(times));
  });
  return (title) => {
    const startedMs = performance.now();
    return () => tests.push({ title, ms: performance.now() - startedMs });
  };
}

export function readTimes(folder: string): readonly FileTimes[] {
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as FileTimes);
}
