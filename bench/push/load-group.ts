import { join } from 'node:path';
import type { ConnectReport, ConnectRequest, Received } from './load.ts';
import { Peer } from './process-pair.ts';
import type { Usage } from './server-process.ts';

/** One or several load processes that share the streams and answer as one. */
export class LoadGroup {
  readonly #peers: readonly Peer[];

  constructor(processes: number) {
    const script = join(import.meta.dirname, 'load.ts');
    this.#peers = Array.from({ length: processes }, () => Peer.startNode(script));
  }

  async connect(request: ConnectRequest): Promise<ConnectReport> {
    const share = Math.ceil(request.streams / this.#peers.length);
    const reports = await Promise.all(
      this.#peers.map((peer, i) => {
        const streams = Math.min(share, request.streams - i * share);
        return peer.ask<ConnectReport>('connect', { ...request, streams });
      }),
    );
    return { seconds: Math.max(...reports.map(({ seconds }) => seconds)) };
  }

  /** Has every process remember the versions that a stream of this kind is given. */
  async learn(request: ConnectRequest): Promise<void> {
    await this.#all('learn', request);
  }

  /** Resolves once all streams watch for the marker. */
  async arm(marker: string): Promise<void> {
    await this.#all('arm', { marker });
  }

  /** Resolves with the time, by the machine's monotonic clock, at which the last stream had the marker. */
  async landed(): Promise<bigint> {
    const answers = await this.#all<{ at: string }>('landed');
    return answers.map(({ at }) => BigInt(at)).reduce((latest, at) => (at > latest ? at : latest), 0n);
  }

  async received(): Promise<Received> {
    const all = await this.#all<Received>('received');
    return {
      resources: sum(all.map(({ resources }) => resources)),
      resourceBytes: sum(all.map(({ resourceBytes }) => resourceBytes)),
      refusals: all.flatMap(({ refusals }) => refusals),
      lost: sum(all.map(({ lost }) => lost)),
    };
  }

  async cpuMicros(): Promise<number> {
    return sum((await this.#all<Usage>('usage')).map(({ cpuMicros }) => cpuMicros));
  }

  async disconnect(): Promise<void> {
    await this.#all('disconnect');
  }

  async stop(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.stop()));
  }

  #all<Answer>(command: string, argument: object = {}): Promise<Answer[]> {
    return Promise.all(this.#peers.map((peer) => peer.ask<Answer>(command, argument)));
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
