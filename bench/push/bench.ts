import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from './contestants.ts';
import { LoadGroup } from './load-group.ts';
import type { ConnectRequest } from './load.ts';
import type { MeshContent } from './mesh.ts';
import type { Options } from './options.ts';
import type { Peer } from './process-pair.ts';
import type { Usage } from './server-process.ts';

/** A server and its load for the time of one measurement. */
export class Bench {
  readonly server: Peer;
  readonly load: LoadGroup;
  /** All Services, and the Endpoints of the one that changes. */
  readonly request: ConnectRequest;
  change = 0;

  constructor(server: Peer, load: LoadGroup, request: ConnectRequest) {
    this.server = server;
    this.load = load;
    this.request = request;
  }

  /** Waits until the server has nothing left to do; `at`: since when, in milliseconds, not more than 200 late. */
  async quiet(): Promise<Usage & { readonly at: number }> {
    let before = await this.server.ask<Usage>('usage');
    for (;;) {
      const at = performance.now();
      await sleep(200);
      const now = await this.server.ask<Usage>('usage');
      if (now.cpuMicros - before.cpuMicros < 10_000) return { ...now, at };
      before = now;
    }
  }

  async settledUsage(): Promise<Usage> {
    await this.quiet();
    await this.server.ask('collectGarbage');
    return this.quiet();
  }
}

export async function withServer<Result>(
  contestant: Contestant,
  content: MeshContent,
  { loads, size, streams }: Options,
  run: (bench: Bench) => Promise<Result>,
): Promise<Result> {
  const server = contestant.start();
  const load = new LoadGroup(loads);
  try {
    const { port } = await server.ask<{ port: number }>('start', content);
    const request: ConnectRequest = {
      port,
      streams,
      pace: 'full',
      services: size.services,
      endpoints: [contestant.endpointsOf(0)],
      sample: 0,
      resume: false,
    };
    return await run(new Bench(server, load, request));
  } finally {
    await Promise.all([server.stop(), load.stop()]);
  }
}
