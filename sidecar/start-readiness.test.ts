import test from 'ava';
import { createLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
import { StartReadiness } from './start-readiness.ts';

/** A directory that becomes ready when told, and a clock that runs when told. */
function setUp(waitMs: number | undefined) {
  const readiness = new Readiness();
  const lines: string[] = [];
  const timers: { delayMs: number; run: () => void }[] = [];
  const listeners = new Set<() => void>();
  const directory = {
    ready: false,
    onTable: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const log = createLogger({
    format: 'json',
    level: () => 'info',
    write: (line) => lines.push((JSON.parse(line) as { message: string }).message),
    now: () => new Date(0),
  });
  const schedule = (delayMs: number, run: () => void) => {
    const timer = { delayMs, run };
    timers.push(timer);
    return () => void timers.splice(timers.indexOf(timer), 1);
  };
  const start = new StartReadiness({ directory: directory as never, readiness, waitMs, schedule, log });
  const tell = (): void => {
    directory.ready = true;
    for (const listener of listeners) listener();
  };
  return { start, readiness, lines, timers, tell };
}

test('with a table in time it is ready, and no more waited for', (t) => {
  const { start, readiness, lines, timers, tell } = setUp(10_000);
  t.false(readiness.isReady);
  t.is(timers[0]?.delayMs, 10_000);
  tell();
  t.true(readiness.isReady);
  t.deepEqual([readiness.remarks, lines, timers.length], [[], [], 0]);
  t.false(start.isWithoutTable);
});

test('without one it is ready after a while, says so, and takes it back with the first table', (t) => {
  const { start, readiness, lines, timers, tell } = setUp(10_000);
  timers[0]?.run();
  t.true(readiness.isReady && start.isWithoutTable);
  t.deepEqual(readiness.remarks, [
    'without a control plane: connections pass through to the addresses that were asked for',
  ]);
  t.regex(lines[0] ?? '', /^Ready without a control plane/u);
  tell();
  t.deepEqual(readiness.remarks, []);
  t.true(readiness.isReady && !start.isWithoutTable);
  t.regex(lines[1] ?? '', /^Joined the mesh/u);
});

test('where a control plane is required it waits for ever', (t) => {
  const { readiness, timers, tell } = setUp(undefined);
  t.deepEqual(timers, []);
  t.false(readiness.isReady);
  tell();
  t.true(readiness.isReady);
});
