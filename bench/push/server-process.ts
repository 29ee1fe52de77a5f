import { readFileSync } from 'node:fs';
import type { MeshChange, MeshContent } from './mesh.ts';
import { answerCommands } from './process-pair.ts';

/** A control plane under measurement. */
export interface MeasuredServer {
  readonly port: number;
  /** Makes one change; the clock starts when it is called. */
  change(change: MeshChange): void;
}

export interface Usage {
  /** User and system time of the process so far. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** Puts a server under the benchmark's commands. */
export function measure(start: (content: MeshContent) => Promise<MeasuredServer>): void {
  let server: MeasuredServer;
  answerCommands({
    start: async (content: MeshContent) => {
      server = await start(content);
      return { port: server.port };
    },
    change: (change: MeshChange) => {
      const at = process.hrtime.bigint();
      server.change(change);
      return { at: String(at) };
    },
    collectGarbage: () => globalThis.gc?.(),
    usage,
  });
}

export function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMicros: user + system, rssBytes: process.memoryUsage.rss(), peakRssBytes: peakRssBytes() };
}

// Linux carries the peak of the parent over into getrusage of the child; VmHWM begins afresh.
function peakRssBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
