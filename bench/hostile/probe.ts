/**
 * Loaded into a program with --import: on SIGUSR2 it writes how long its event loop was held at most since the signal
 * before, and begins anew. The program itself knows nothing of it.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

export interface Held {
  /** Longest hold by the clock, the time included in which other processes had the core. */
  readonly wallMs: number;
  /** Most CPU time that the thread took in one turn. */
  readonly cpuMs: number;
}

const RESOLUTION_MS = 5;

const file = process.env['HOSTILE_PROBE'];
if (isMainThread && file !== undefined) observe(file);

function observe(path: string): void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let before = cpuMillis();
  let most = 0;
  setInterval(() => {
    const now = cpuMillis();
    most = Math.max(most, now - before);
    before = now;
  }, RESOLUTION_MS).unref();
  process.on('SIGUSR2', () => {
    const held: Held = {
      wallMs: Math.max(0, delays.max / 1e6 - RESOLUTION_MS),
      cpuMs: Math.max(most, cpuMillis() - before),
    };
    writeFileSync(`${path}.new`, JSON.stringify(held));
    renameSync(`${path}.new`, path);
    delays.reset();
    most = 0;
    before = cpuMillis();
  });
}

function cpuMillis(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}
