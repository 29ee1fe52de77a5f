/** The mesh comes, is of use, and goes, and no application has to know of any of it. */
import type { Cluster, Pod } from '../../cluster.ts';
import { getJson } from '../../journey/asking.ts';
import { journeys, type Stage } from '../../journey/journey.ts';
import { assertNothingFailed, Load } from '../../journey/load.ts';
import { installMesh, MESH_NAMESPACE, meshDirectory, removeMesh } from '../../journey/mesh.ts';
import { deployment, service } from '../../journey/objects.ts';
import { type PlainPod, sightsOf, without, withoutNames } from '../../journey/sights.ts';
import { until } from '../../journey/until.ts';

const journey = journeys({ name: 'install' });
/** Without a mesh, nothing tries another pod while kube-proxy does not know yet that this one is leaving. */
const LEAVES_SLOWLY = { lifecycle: { preStop: { sleep: { seconds: 5 } } } };

journey('applied a second time, nothing changes', async (t, { cluster }) => {
  const before = await installed(cluster);
  const lines = (await cluster.mustKubectl(['apply', '-k', meshDirectory()])).trim().split('\n');
  // kubectl says so of budgets each time, and changes nothing: see below.
  const budgets = lines.filter((line) => line.startsWith('poddisruptionbudget'));
  t.deepEqual(
    lines.filter((line) => !line.endsWith(' unchanged')),
    budgets,
  );
  t.deepEqual(await installed(cluster), before);
});

journey('two plain Deployments: requests are spread evenly, as the metrics say', async (t, stage) => {
  const replicas = 4;
  const ready = { path: '/report', port: 9090 };
  const load = { url: 'http://server:8080', newPerSecond: 50, kept: 0, keptPerSecond: 0 };
  await stage.apply(
    deployment({ name: 'server', replicas }),
    // One family, so that a request is one connection and never the faster of two.
    service({ name: 'server', spec: { ipFamilyPolicy: 'SingleStack' } }),
  );
  await stage.untilRolledOut('server');
  await stage.apply(
    deployment({ name: 'client', command: ['node', '/app/load.ts', JSON.stringify(load)], ready }),
  );
  await stage.untilRolledOut('client');
  const servers = await stage.pods('server');
  const client = await stage.pod('client');
  const running = new Load(stage.cluster, client);
  // A pod that was slow to answer just now, as any may be that has just started, is chosen less for a while.
  await until('an even round of connections', () => roundOf(stage, running, servers), isEven);
  const report = await running.stop();

  t.deepEqual(report.failures, []);
  const counted = await opened(stage, client, servers);
  const answered = Object.entries(report.new.answeredBy).map(([name, { count }]) => [name, count]);
  t.deepEqual(counted, Object.fromEntries(answered), 'the metrics know who answered what');
  for (const server of servers) {
    const metrics = await stage.metrics(server);
    const own = { direction: 'inbound', service: '8080' };
    // With the kubelet's probes.
    t.true(metrics.sum('cortexflow_tcp_connections_opened_total', own) >= counted[server.name]!);
  }
});

journey('an application sees and is what it is without a mesh', async (t, stage) => {
  const app = { replicas: 1, container: { name: 'app' } };
  await stage.apply(
    service({ name: 'inside' }),
    deployment({ ...app, name: 'inside' }),
    deployment({ ...app, name: 'outside', labels: { 'proxy-injection': 'disabled' } }),
  );
  await stage.untilRolledOut('inside', 'outside');
  const [inside, outside] = await Promise.all([plainPod(stage, 'inside'), plainPod(stage, 'outside')]);

  t.deepEqual(
    inside.spec.initContainers?.map(({ name }) => name),
    ['proxy-init', 'proxy-sidecar'],
  );
  t.is(outside.spec.initContainers, undefined);
  t.deepEqual(withoutNames(inside), withoutNames(outside));

  const [seen, plain] = await Promise.all([sightsOf(stage, inside), sightsOf(stage, outside)]);
  t.deepEqual(Object.keys(seen), Object.keys(plain));
  for (const [what, lines] of Object.entries(plain)) {
    t.true(lines.length > 0, what);
    t.deepEqual(onlyIn(lines, seen[what]!), { gone: [], added: [] }, what);
  }
});

journey('taken away, it leaves nothing but sidecars, which join again when it is back', async (t, stage) => {
  const { cluster, namespace } = stage;
  await stage.apply(
    deployment({ name: 'server', replicas: 3, container: LEAVES_SLOWLY }),
    service({ name: 'server' }),
  );
  await stage.untilRolledOut('server');
  const load = await stage.startLoad({ url: 'http://server:8080' });
  const injectedAfterRollout = async (version: string): Promise<number> => {
    await stage.kubectl(['set', 'env', 'deployment/server', `VERSION=${version}`]);
    await stage.untilRolledOut('server');
    await load.untilAnsweredBy(await stage.pods('server'));
    return (await cluster.pods(namespace, 'app=server,cortexflow.io/injected=true')).length;
  };

  t.teardown(() => installMesh(cluster));
  await removeMesh(cluster);
  t.deepEqual(await leftOvers(cluster), []);
  await load.goOn(200);
  assertNothingFailed(t, await load.report());
  // None of the pods that the load's sidecar knows is there afterwards.
  t.is(await injectedAfterRollout('2'), 0);
  await load.goOn(200);
  assertNothingFailed(t, await load.report());

  await installMesh(cluster);
  await stage.untilConnected(load.pod);
  t.is(await injectedAfterRollout('3'), 3);
  const servers = await stage.pods('server');
  await until(
    'connections of the load that its sidecar balances over the new servers',
    () => opened(stage, load.pod, servers),
    (counted) => servers.every(({ name }) => counted[name]! > 0),
  );
  assertNothingFailed(t, await load.stop());
});

/** What was applied, and what came of it: the pods, and what the injector wrote. Without what always changes. */
async function installed(cluster: Cluster): Promise<readonly unknown[]> {
  const [{ items }, pods] = await Promise.all([
    getJson<{ items: readonly { metadata: object }[] }>(cluster, '-k', meshDirectory()),
    cluster.pods(MESH_NAMESPACE, 'cortexflow.io/component'),
  ]);
  const objects = items.map((object) => [
    without(object, 'metadata', 'status'),
    without(object.metadata, 'managedFields', 'resourceVersion'),
  ]);
  return [...objects, pods];
}

/** Connections that the client's sidecar opened, by the name of the pod that they went to. */
async function opened(stage: Stage, client: Pod, servers: readonly Pod[]): Promise<Record<string, number>> {
  const metrics = await stage.metrics(client);
  const name = 'cortexflow_tcp_endpoint_connections_opened_total';
  const byEndpoint = metrics.sums(name, 'endpoint', { service: `${stage.namespace}/server` });
  const countOf = ({ addresses }: Pod): number =>
    addresses
      .map((address) => (address.includes(':') ? `[${address}]` : address))
      .reduce((count, host) => count + (byEndpoint[`${host}:8080`] ?? 0), 0);
  return Object.fromEntries(servers.map((pod) => [pod.name, countOf(pod)]));
}

/** Some hundred connections: how many of them went to each of the pods. */
async function roundOf(stage: Stage, load: Load, servers: readonly Pod[]): Promise<readonly number[]> {
  const before = await opened(stage, load.pod, servers);
  await load.goOn(100 * servers.length);
  const after = await opened(stage, load.pod, servers);
  return servers.map(({ name }) => after[name]! - before[name]!);
}

/** To within a half. */
function isEven(counts: readonly number[]): boolean {
  const share = counts.reduce((sum, count) => sum + count) / counts.length;
  return counts.every((count) => count > share / 2 && count < share * 1.5);
}

async function plainPod({ cluster, namespace }: Stage, app: string): Promise<PlainPod> {
  const { items } = await getJson<{ items: readonly PlainPod[] }>(
    cluster,
    'pods',
    '-n',
    namespace,
    '-l',
    `app=${app}`,
  );
  return items[0]!;
}

function onlyIn(plain: readonly string[], seen: readonly string[]): { gone: string[]; added: string[] } {
  const [before, after] = [new Set(plain), new Set(seen)];
  return { gone: [...before.difference(after)], added: [...after.difference(before)] };
}

/** Objects of any kind that speak of the mesh, but for those of applications. */
async function leftOvers(cluster: Cluster): Promise<readonly string[]> {
  const kinds = (await cluster.mustKubectl(['api-resources', '--verbs=list', '-o', 'name']))
    .trim()
    .split('\n');
  const lasting = kinds.filter((kind) => !kind.startsWith('events'));
  const { items } = await getJson<{ items: readonly Left[] }>(cluster, lasting.join(','), '-A');
  return (
    items
      .filter(({ metadata: { namespace, name } }) => !(namespace ?? name).startsWith('journey-'))
      // Nodes tell which images they have.
      .filter((object) => /cortexflow(?!-test)/.test(JSON.stringify(without(object, 'status'))))
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  );
}

interface Left {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
