import { readFileSync } from 'node:fs';

/** How many file descriptors this process may have; undefined where that is unlimited or cannot be told. */
export function descriptorLimit(): number | undefined {
  try {
    return parseDescriptorLimit(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    // Not Linux, or /proc is hidden.
    return undefined;
  }
}

/** The soft limit in the text of `/proc/<pid>/limits` (proc_pid_limits(5)). */
export function parseDescriptorLimit(limits: string): number | undefined {
  const soft = /^Max open files +(?<soft>\d+) /mu.exec(limits)?.groups?.['soft'];
  return soft === undefined ? undefined : Number(soft);
}
