import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process that can be told from a later one with the same number. */
export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks since the machine was booted. */
  readonly startedAt: string;
}

/** Undefined when there is no such process, or only what is left of it until its parent asks. */
export function markOf(pid: number): ProcessMark | undefined {
  const fields = statOf(pid);
  return fields === undefined || fields.state === 'Z' || fields.state === 'X'
    ? undefined
    : { pid, startedAt: fields.startedAt };
}

export function isAlive({ pid, startedAt }: ProcessMark): boolean {
  return markOf(pid)?.startedAt === startedAt;
}

/** Waits for a process's first child. Undefined when the process ends without one. */
export async function childOf(parent: number): Promise<number | undefined> {
  for (;;) {
    if (markOf(parent) === undefined) return undefined;
    const child = processes().find((pid) => statOf(pid)?.parent === parent);
    if (child !== undefined) return child;
    await delay(5);
  }
}

function processes(): readonly number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** proc(5): the name stands in parentheses and may hold anything, the rest is counted from behind it. */
function statOf(pid: number): { state: string; parent: number; startedAt: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, parent: Number(fields[1]), startedAt: fields[19]! };
  } catch {
    return undefined;
  }
}
