import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiServer } from '../../api-server/api-server.ts';
import { connectApiServer } from '../../api-server/connection.ts';
import { LoadGroup } from '../push/load-group.ts';
import { collectionOfService, marker, meshChange, type MeshSize } from '../push/mesh.ts';

const SLICES = '/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices';
const PAUSE_MS = 50;

export interface ChangesPlan {
  readonly size: MeshSize;
  readonly streams: number;
  readonly changes: number;
  /** Of the control plane. */
  readonly xdsPort: number;
  /** Of somebody who may write EndpointSlices. */
  readonly kubeconfig: string;
}

/** Milliseconds since the change was sent off, sorted. */
export interface Delays {
  readonly bareWatch: readonly number[];
  readonly lastStream: readonly number[];
  /** Of each change, from the bare watch having it to the last stream having it. */
  readonly between: readonly number[];
}

/** Changes one EndpointSlice again and again, and waits for each change at a bare watch and at all streams. */
export async function measureChanges(plan: ChangesPlan): Promise<Delays> {
  const { size, streams, changes, xdsPort } = plan;
  const api = await connectApiServer({ lookup: () => plan.kubeconfig });
  const load = new LoadGroup(1);
  try {
    await load.connect({
      port: xdsPort,
      streams,
      pace: 'full',
      services: size.services,
      endpoints: [collectionOfService(0)],
      sample: 0,
      resume: false,
    });
    const watch = await BareWatch.start(api);
    const seen: { bare: number; last: number }[] = [];
    const warmUp = Math.ceil(changes / 10);
    for (let n = 1; n <= warmUp + changes; n += 1) {
      const [bare, last] = await change(n, { api, load, watch, size });
      if (n > warmUp) seen.push({ bare, last });
      await sleep(PAUSE_MS);
    }
    const sorted = (of: (one: { bare: number; last: number }) => number): readonly number[] =>
      seen.map(of).toSorted((a, b) => a - b);
    return {
      bareWatch: sorted(({ bare }) => bare),
      lastStream: sorted(({ last }) => last),
      between: sorted(({ bare, last }) => last - bare),
    };
  } finally {
    await load.stop();
    api.close();
  }
}

interface Parts {
  readonly api: ApiServer;
  readonly load: LoadGroup;
  readonly watch: BareWatch;
  readonly size: MeshSize;
}

async function change(n: number, { api, load, watch, size }: Parts): Promise<[number, number]> {
  const { object } = meshChange(n, size);
  await load.arm(marker(n));
  const [landed, told] = [load.landed(), watch.tells(marker(n))];
  const begun = process.hrtime.bigint();
  await api.request({ method: 'PUT', path: `${SLICES}/service-0-slice`, body: object });
  return [Number((await told) - begun) / 1e6, Number((await landed) - begun) / 1e6];
}

/** A watch that does nothing with what it is told. */
class BareWatch {
  #marker = '';
  #told: (at: bigint) => void = () => {};

  static async start(api: ApiServer): Promise<BareWatch> {
    const watch = new BareWatch();
    const { signal } = new AbortController();
    const listed = (await api.request({ method: 'GET', path: SLICES, query: { limit: '1' } })) as {
      metadata: { resourceVersion: string };
    };
    const query = { watch: 'true', resourceVersion: listed.metadata.resourceVersion };
    void watch.#read(await api.lines({ path: SLICES, query, signal })).catch(() => {});
    return watch;
  }

  /** Resolves with the time at which a line with the marker came. */
  tells(text: string): Promise<bigint> {
    this.#marker = text;
    return new Promise((resolve) => (this.#told = resolve));
  }

  async #read(lines: AsyncIterable<string>): Promise<void> {
    for await (const line of lines) if (line.includes(this.#marker)) this.#told(process.hrtime.bigint());
  }
}
