import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../test/until.ts';
import type { Held } from './probe.ts';

/** What one attack did to its victim, and to a client that behaves. */
export interface Result extends Held {
  /** Highest resident memory during the attack, above that before it. */
  readonly memoryMB: number;
  readonly answered: number;
  readonly unanswered: number;
  readonly slowestMs: number;
}

/** Asks what a client that behaves asks; rejects where it gets no answer. */
export type Ask = () => Promise<unknown>;

const REST_MS = 1_000;
const ASK_EVERY_MS = 50;
const ANSWER_MS = 5_000;
/** A victim that is held for longer than this counts as held for that long. */
const HELD_MS = 30_000;

/** Where a probe writes, and the environment that loads it into a program. */
export class Probe {
  readonly environment: Readonly<Record<string, string>>;
  readonly #file: string;

  constructor(folder: string, name: string) {
    this.#file = join(folder, `${name.replaceAll(/\W+/g, '-')}.probe`);
    this.environment = {
      NODE_OPTIONS: `--import=${new URL('probe.ts', import.meta.url).href}`,
      HOSTILE_PROBE: this.#file,
    };
  }

  /** What it measured since the last time. */
  async take(pid: number): Promise<Held> {
    rmSync(this.#file, { force: true });
    process.kill(pid, 'SIGUSR2');
    try {
      await until('an answer of the probe', () => existsSync(this.#file), Boolean, { withinMs: HELD_MS });
    } catch {
      return { wallMs: HELD_MS, cpuMs: HELD_MS };
    }
    return JSON.parse(readFileSync(this.#file, 'utf8')) as Held;
  }
}

/** Runs an attack, and a client beside it that asks again and again. */
export async function measure(
  { pid, probe }: { readonly pid: number; readonly probe: Probe },
  attack: () => Promise<void>,
  ask: Ask,
): Promise<Result> {
  await ask();
  await pause(REST_MS);
  const rest = status(pid, 'VmRSS');
  // proc_pid_clear_refs(5): 5 resets the peak of the resident set.
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  await probe.take(pid);
  const state = { isOver: false };
  const [asked] = await Promise.all([
    askUntil(state, ask),
    attack().finally(() => {
      state.isOver = true;
    }),
  ]);
  const held = await probe.take(pid);
  return { ...held, ...asked, memoryMB: (status(pid, 'VmHWM') - rest) / 1024 };
}

async function askUntil(
  state: { readonly isOver: boolean },
  ask: Ask,
): Promise<Pick<Result, 'answered' | 'unanswered' | 'slowestMs'>> {
  const counts = { answered: 0, unanswered: 0, slowestMs: 0 };
  while (!state.isOver) {
    const begun = performance.now();
    const isAnswered = await Promise.race([
      ask().then(
        () => true,
        () => false,
      ),
      pause(ANSWER_MS, false, { ref: false }),
    ]);
    counts[isAnswered ? 'answered' : 'unanswered'] += 1;
    counts.slowestMs = Math.max(counts.slowestMs, performance.now() - begun);
    await pause(ASK_EVERY_MS);
  }
  return counts;
}

/** A size from /proc/PID/status, in KiB. */
function status(pid: number, name: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'mu').exec(text)?.[1]);
}
