import { readFileSync } from 'node:fs';

/** A carried connection has a socket on either side. */
const PER_CONNECTION = 2;

/** What is left for listeners, the control plane, scrapes, files and the runtime itself. */
const RESERVED = 64;

/** One descriptor in so many takes messages, and one more passes them on. */
const SHARE_OF_MESSAGES = 16;

/** How many connections can be open for messages with that many descriptors; at least one. */
export function messageConnectionsWithin(descriptors: number): number {
  return Math.max(1, Math.floor(descriptors / SHARE_OF_MESSAGES));
}

/** How many connections can be carried in each of so many directions with that many descriptors; at least one. */
export function connectionsWithin(descriptors: number, directions: number): number {
  const left = descriptors - RESERVED - 2 * messageConnectionsWithin(descriptors);
  return Math.max(1, Math.floor(left / PER_CONNECTION / directions));
}

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
