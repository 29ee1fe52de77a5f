import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Folder } from './folder.ts';
import { type Program, startControlPlane, startSidecar } from './programs.ts';
import { until } from '../until.ts';

/** A backend that answers with the name of the zone it stands for. */
async function backend(t: ExecutionContext, zone: string): Promise<number> {
  const server = createServer((_request, response) => response.end(zone)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: hello, namespace: demo }
spec:
  trafficDistribution: PreferSameZone
  ports: [{ name: http, port: 80 }]
`;

/** What the EndpointSlice controller writes for a Service with PreferSameZone: each endpoint for its own zone. */
function slice(zone: string, port: number): string {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: hello-${zone}, namespace: demo, labels: { kubernetes.io/service-name: hello } }
addressType: IPv4
ports: [{ name: http, port: ${port} }]
endpoints:
  - addresses: [127.0.0.1]
    zone: ${zone}
    hints: { forZones: [{ name: ${zone} }] }
    targetRef: { kind: Pod, name: hello-${zone} }
`;
}

function node(zone: string): string {
  return `
apiVersion: v1
kind: Node
metadata: { name: node-1, labels: { topology.kubernetes.io/zone: ${zone} } }
`;
}

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: hello-east, namespace: demo, labels: { cortexflow.io/injected: "true" } }
spec: { serviceAccountName: greeter }
status: { podIPs: [{ ip: 127.0.0.1 }] }
`;

/** Lies beside what the control plane reads: it leaves out names that begin with a dot. */
const BOOTSTRAP = '.sidecar.json';

interface Mesh {
  readonly folder: Folder;
  readonly controlPlane: Program;
  readonly startOne: (more?: Record<string, string>) => Program;
}

async function startMesh(t: ExecutionContext): Promise<Mesh> {
  const folder = new Folder(t);
  folder.write('service.yaml', SERVICE);
  for (const zone of ['east', 'west']) folder.write(`${zone}.yaml`, slice(zone, await backend(t, zone)));
  folder.write('pod.yaml', POD);
  // In turns: a policy that looks at latency might leave one of the two alone.
  const upstreams = [{ listen: '127.0.0.1:0', service: 'hello.demo:80', balance: 'round-robin' }];
  folder.write(BOOTSTRAP, JSON.stringify({ upstreams }));
  const controlPlane = startControlPlane(t, {
    CORTEXFLOW_DIRECTORY: folder.path,
    CORTEXFLOW_DRAIN_MS: '100',
  });
  const { xds } = await controlPlane.serving();
  const startOne = (more: Record<string, string> = {}): Program =>
    startSidecar(t, {
      CORTEXFLOW_NODE_NAME: 'node-1',
      CORTEXFLOW_CONTROL_PLANE: String(xds),
      CORTEXFLOW_BOOTSTRAP: join(folder.path, BOOTSTRAP),
      CORTEXFLOW_LAST_GOOD_FILE: folder.lastGoodFile,
      ...more,
    });
  return { folder, controlPlane, startOne };
}

async function admin(sidecar: Program, path: string): Promise<Response> {
  const { admin: address } = await sidecar.serving();
  return fetch(`http://${address as string}${path}`);
}

interface Config {
  readonly locality: { readonly zone?: string; readonly node: string; readonly origin?: { source: string } };
  readonly services: readonly {
    readonly slices: readonly { readonly name: string; readonly endpoints: readonly object[] }[];
  }[];
}

async function config(sidecar: Program): Promise<Config> {
  return (await (await admin(sidecar, '/config')).json()) as Config;
}

/** Resolves once the sidecar says that it is in this zone. */
async function untilIn(sidecar: Program, zone: string): Promise<void> {
  await until(
    `the zone ${zone}`,
    () => config(sidecar),
    ({ locality }) => (locality.zone ?? '') === zone,
  );
}

/** Which zones answer twenty connections, one after another. */
async function answeringZones(sidecar: Program): Promise<readonly string[]> {
  await until(
    'the sidecar is ready',
    () => admin(sidecar, '/readyz'),
    ({ ok }) => ok,
  );
  const { upstreams } = await sidecar.serving();
  const [, port] = /^127\.0\.0\.1:(\d+) /.exec((upstreams as string[])[0]!)!;
  const zones = new Set<string>();
  for (let count = 0; count < 20; count += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } });
    zones.add(await answer.text());
  }
  return [...zones].toSorted();
}

test('connections prefer the zone that the label of the own Node says, and follow it when it changes', async (t) => {
  const { folder, controlPlane, startOne } = await startMesh(t);
  const sidecar = startOne();
  t.deepEqual(await answeringZones(sidecar), ['east', 'west'], 'ready without the Node, and nowhere');

  folder.write('node.yaml', node('east'));
  await untilIn(sidecar, 'east');
  t.deepEqual(await answeringZones(sidecar), ['east']);

  folder.write('node.yaml', node('west'));
  await untilIn(sidecar, 'west');
  t.deepEqual(await answeringZones(sidecar), ['west']);

  const { locality, services } = await config(sidecar);
  t.like(locality, { node: 'node-1', origin: { source: 'control-plane' } });
  const slices = services[0]!.slices.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  t.like(slices, [
    { endpoints: [{ zone: 'east', serviceAccount: 'greeter', inMesh: true }] },
    { endpoints: [{ zone: 'west', serviceAccount: undefined, inMesh: false }] },
  ]);

  t.is(await sidecar.end(), 0);
  t.is(await controlPlane.end(), 0);
  const again = startOne();
  t.deepEqual(await answeringZones(again), ['west'], 'from disk, with no control plane');
  t.like((await config(again)).locality, { zone: 'west', origin: { source: 'disk' } });

  const placed = startOne({ CORTEXFLOW_ZONE: 'east' });
  t.deepEqual(await answeringZones(placed), ['east'], 'a zone that was given wins');
});

test('a Node that goes takes its zone with it', async (t) => {
  const { folder, startOne } = await startMesh(t);
  folder.write('node.yaml', node('east'));
  const sidecar = startOne();
  await untilIn(sidecar, 'east');
  folder.remove('node.yaml');
  await untilIn(sidecar, '');
  t.deepEqual(await answeringZones(sidecar), ['east', 'west']);
});
