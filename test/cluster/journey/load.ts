/** A constant load from a pod of its own, and what became of every request. */
import type { ExecutionContext } from 'ava';
import type { Cluster, Pod } from '../cluster.ts';
import type { NodeName } from '../layout.ts';
import { podPage } from './metrics.ts';
import { pod } from './objects.ts';
import { until } from './until.ts';

const REPORT_PORT = 9090;

export interface LoadOptions {
  /** Of the pod. */
  readonly name?: string;
  /** `http://<service>:<port>` of a server as app/server.ts is. */
  readonly url: string;
  /** Requests that each open a connection of their own. Default 10. */
  readonly newPerSecond?: number;
  /** Connections that are kept, default 4, and the requests a second on each of them, default 5. */
  readonly kept?: number;
  readonly keptPerSecond?: number;
  readonly node?: NodeName;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Tally {
  readonly sent: number;
  readonly right: number;
  /** Of the right answers. */
  readonly slowestMs: number;
  /** Right answers by the pod that gave them. */
  readonly answeredBy: Readonly<Record<string, { readonly count: number; readonly lastAt: string }>>;
}

/** The times (ISO 8601) are those of this machine, which all nodes share. */
export interface LoadReport {
  readonly forMs: number;
  readonly new: Tally;
  readonly kept: Tally;
  /** Kept connections that were opened: more than were asked for where a server ended some, as it may. */
  readonly keptConnections: number;
  readonly inFlight: number;
  readonly failureCount: number;
  /** The first 500. */
  readonly failures: readonly LoadFailure[];
}

export interface LoadFailure {
  readonly kind: 'new' | 'kept';
  readonly at: string;
  readonly afterMs: number;
  readonly reason: string;
}

export class Load {
  readonly pod: Pod;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, runningPod: Pod) {
    this.#cluster = cluster;
    this.pod = runningPod;
  }

  /** So far. It needs no API server. */
  async report(): Promise<LoadReport> {
    return this.#ask('GET', '/report');
  }

  /** Sends no more, and resolves once every request has its end. */
  async stop(): Promise<LoadReport> {
    return this.#ask('POST', '/stop');
  }

  /** Resolves when so many more requests, on new connections and on kept ones, have their end. */
  async goOn(requests: number): Promise<void> {
    const begin = ended(await this.report());
    await until(
      `${requests} more requests of the load ${this.pod.name}, after ${begin}`,
      async () => ended(await this.report()),
      (now) => now - begin >= requests,
    );
  }

  /** Resolves when each of these pods has answered on a new connection. */
  async untilAnsweredBy(pods: readonly Pod[]): Promise<void> {
    await until(
      `answers of ${pods.map(({ name }) => name).join(', ')} to the load ${this.pod.name}`,
      async () => (await this.report()).new.answeredBy,
      (answeredBy) => pods.every(({ name }) => name in answeredBy),
    );
  }

  async #ask(method: string, path: string): Promise<LoadReport> {
    const text = await podPage(this.#cluster, this.pod, { port: REPORT_PORT, path, method });
    return JSON.parse(text) as LoadReport;
  }
}

/** Requests that have their answer, or have failed. */
function ended({ new: onNew, kept, inFlight }: LoadReport): number {
  return onNew.sent + kept.sent - inFlight;
}

export function loadPod({ name = 'load', node, annotations, ...options }: LoadOptions): unknown {
  const { url, newPerSecond = 10, kept = 4, keptPerSecond = 5 } = options;
  return pod({
    name,
    command: ['node', '/app/load.ts', JSON.stringify({ url, newPerSecond, kept, keptPerSecond })],
    ready: { path: '/report', port: REPORT_PORT },
    ...(node === undefined ? {} : { node }),
    ...(annotations === undefined ? {} : { annotations }),
  });
}

/** Also says how much there was that could have failed. */
export function assertNothingFailed(t: ExecutionContext, report: LoadReport): void {
  const { new: onNew, kept } = report;
  t.log(
    `${onNew.sent} requests on new connections (slowest ${onNew.slowestMs} ms), ${kept.sent} on kept ones`,
  );
  for (const { kind, at, afterMs, reason } of report.failures.slice(0, 20)) {
    t.log(`failed: ${at}, on a ${kind} connection, after ${afterMs} ms: ${reason}`);
  }
  t.is(report.failureCount, 0);
  t.is(onNew.right + kept.right + report.inFlight, onNew.sent + kept.sent);
  t.true(onNew.sent + kept.sent > 0);
}
