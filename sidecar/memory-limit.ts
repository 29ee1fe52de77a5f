import { totalmem } from 'node:os';

/** How many bytes of memory this process may use: those of its control group, else those of the machine. */
export function memoryLimit(): number {
  return memoryLimitOf(process.constrainedMemory(), totalmem());
}

/** Where there is no limit libuv says 0, or with cgroups v1 more than any machine has (uv_get_constrained_memory). */
export function memoryLimitOf(constrained: number, total: number): number {
  return constrained > 0 ? Math.min(constrained, total) : total;
}
