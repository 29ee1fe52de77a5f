import test from 'ava';
import { Folder } from './folder.ts';
import { claimPort, type Program, startControlPlane, startSidecar } from './programs.ts';
import { until } from '../until.ts';

const EDITS = 10_000;
const SERVICES = Array.from({ length: 20 }, (_, index) => `service-${index}`);
const SLICES = Array.from({ length: 80 }, (_, index) => `slice-${index}`);
const SIDECARS = 3;

type Health = 'ready' | 'terminating' | 'not-ready';

interface Slice {
  readonly service: string;
  readonly endpoints: ReadonlyMap<string, Health>;
}

/** What the folder holds, kept by the one who writes it. */
class Model {
  readonly services = new Set<string>();
  readonly slices = new Map<string, Slice>();

  /** `service → slice → address → health`, of the Services that there are. */
  get expected(): Record<string, Record<string, Record<string, Health>>> {
    const entries = [...this.services].toSorted().map((service) => {
      const own = [...this.slices].filter(([, slice]) => slice.service === service).toSorted(byName);
      const slices = own.map(([name, { endpoints }]) => [
        `demo/${service}/${name}`,
        Object.fromEntries([...endpoints].toSorted(byName)),
      ]);
      return [`demo/${service}`, Object.fromEntries(slices)];
    });
    return Object.fromEntries(entries);
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function serviceYaml(name: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: demo }
spec: { ports: [{ name: http, port: 80 }] }
`;
}

const CONDITIONS: Readonly<Record<Health, string>> = {
  ready: '{ ready: true }',
  terminating: '{ ready: false, serving: true, terminating: true }',
  'not-ready': '{ ready: false, serving: false }',
};

function sliceYaml(name: string, { service, endpoints }: Slice): string {
  const entries = [...endpoints].map(
    ([address, health]) => `  - { addresses: [${address}], conditions: ${CONDITIONS[health]} }`,
  );
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: demo, labels: { kubernetes.io/service-name: ${service} } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints:${entries.length === 0 ? ' []' : `\n${entries.join('\n')}`}
`;
}

/** Random numbers that are the same for the same seed (xorshift32), so that a failure can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function randomSlice(random: (below: number) => number): Slice {
  const healths: readonly Health[] = ['ready', 'ready', 'ready', 'terminating', 'not-ready'];
  const endpoints = new Map<string, Health>();
  for (let count = random(5); count > 0; count -= 1) {
    endpoints.set(`10.0.${random(4)}.${random(250)}`, healths[random(healths.length)]!);
  }
  return { service: SERVICES[random(SERVICES.length)]!, endpoints };
}

/** One edit, done to the folder and to the model. */
function edit(folder: Folder, model: Model, random: (below: number) => number): void {
  const slice = SLICES[random(SLICES.length)]!;
  const service = SERVICES[random(SERVICES.length)]!;
  switch (random(10)) {
    case 0:
      folder.write(`${service}.yaml`, serviceYaml(service));
      model.services.add(service);
      break;
    case 1:
      if (random(3) > 0) break;
      folder.remove(`${service}.yaml`);
      model.services.delete(service);
      break;
    case 2:
      folder.remove(`${slice}.yaml`);
      model.slices.delete(slice);
      break;
    default: {
      const next = randomSlice(random);
      folder.write(`${slice}.yaml`, sliceYaml(slice, next));
      model.slices.set(slice, next);
    }
  }
}

async function table(sidecar: Program): Promise<Model['expected']> {
  const { admin } = await sidecar.serving();
  const view = (await (await fetch(`http://${admin as string}/config`)).json()) as {
    services: {
      name: string;
      slices?: { name: string; endpoints?: { address: string; health: Health }[] }[];
    }[];
  };
  return Object.fromEntries(
    view.services.map(({ name, slices = [] }) => [
      name,
      Object.fromEntries(
        slices
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .map((slice) => [
            slice.name,
            Object.fromEntries(
              (slice.endpoints ?? [])
                .map(({ address, health }): [string, Health] => [address, health])
                .toSorted(byName),
            ),
          ]),
      ),
    ]),
  );
}

test(`${EDITS} edits with the control plane killed in between: every sidecar ends with what the folder holds`, async (t) => {
  t.timeout(240_000);
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  t.log(`SEED=${seed} repeats this run`);
  const random = generator(seed);
  const folder = new Folder(t);
  const model = new Model();
  for (let count = 0; count < 200; count += 1) edit(folder, model, random);

  const address = `127.0.0.1:${await claimPort()}`;
  const environment = {
    CORTEXFLOW_DIRECTORY: folder.path,
    CORTEXFLOW_XDS_ADDRESS: address,
    CORTEXFLOW_DRAIN_MS: '10',
  };
  let controlPlane = startControlPlane(t, environment);
  await controlPlane.serving();
  const sidecars = Array.from({ length: SIDECARS }, () =>
    startSidecar(t, {
      CORTEXFLOW_CONTROL_PLANE: address,
      CORTEXFLOW_UPSTREAMS: SERVICES.map((name) => `127.0.0.1:0=${name}.demo:80`).join(','),
    }),
  );
  await Promise.all(sidecars.map((sidecar) => sidecar.serving()));

  let next = controlPlane.serving();
  for (let count = 1; count <= EDITS; count += 1) {
    edit(folder, model, random);
    // Bursts with pauses of all lengths around the time that a file takes to settle.
    if (random(50) === 0) await new Promise((resolve) => setTimeout(resolve, random(120)));
    if (count % (EDITS / 5) === 0) {
      await next;
      await controlPlane.end(random(2) === 0 ? 'SIGKILL' : 'SIGTERM');
      controlPlane = startControlPlane(t, environment);
      next = controlPlane.serving();
    }
  }
  await next;

  const { expected } = model;
  for (const sidecar of sidecars) {
    await until(
      'the expected table in the sidecar',
      () => table(sidecar),
      (current) => JSON.stringify(current) === JSON.stringify(expected),
    );
    t.deepEqual(await table(sidecar), expected);
  }
});
