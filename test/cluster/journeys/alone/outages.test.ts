import type { ExecutionContext } from 'ava';
import type { Pod } from '../../cluster.ts';
import { container, signalContainer } from '../../journey/containers.ts';
import { journeys, type Stage } from '../../journey/journey.ts';
import { assertNothingFailed, type Load, loadPod } from '../../journey/load.ts';
import { installMesh, type MeshDeployment, meshPods, removeMeshDeployment } from '../../journey/mesh.ts';
import { podPage, sidecarPage } from '../../journey/metrics.ts';
import { deployment, pod, service } from '../../journey/objects.ts';
import { until } from '../../journey/until.ts';

// One part after the other is away for a while. What runs takes no notice, what starts does as the failure table
// says, and everything heals by itself.

const journey = journeys({ name: 'outages' });
const URL = 'http://server:8080';
const CONTROL_PLANE_ADMIN_PORT = 18080;
/** Of the load, for how many requests an outage lasts at least: about ten seconds. */
const OUTAGE_REQUESTS = 300;

journey('without a control plane, traffic goes on and pods start in pass-through', async (t, stage) => {
  await stage.apply(pod({ name: 'client' }));
  const load = await startLoadOnServer(stage);
  const client = await untilClientKnowsServer(stage);
  await takeAway(t, stage, 'control-plane');
  const annotations = { 'cortexflow.io/require-control-plane': 'true' };
  await stage.apply(loadPod({ name: 'required', url: URL, annotations }));
  await assertRestartedSidecarKnowsServer(t, stage, client);
  const late = await stage.startLoad({ name: 'late', url: URL });
  t.regex(await sidecarPage(stage.cluster, late.pod, '/readyz'), /without a control plane/);
  await late.goOn(OUTAGE_REQUESTS);
  t.is(await balancedBy(stage, late.pod), 0);
  t.not((await container(stage, 'required', 'proxy-sidecar')).started, true);
  t.not((await container(stage, 'required', 'required')).ready, true);

  await installMesh(stage.cluster);
  await stage.kubectl(['wait', 'pod/required', '--for=condition=Ready', '--timeout=300s']);
  await until(
    'a control plane for the sidecar that started without one',
    () => sidecarPage(stage.cluster, late.pod, '/readyz'),
    (text) => !text.includes('without a control plane'),
  );
  await until(
    'connections that the sidecar of the late load balances',
    () => balancedBy(stage, late.pod),
    (connections) => connections > 0,
  );
  assertNothingFailed(t, await late.stop());
  assertNothingFailed(t, await load.stop());
});

journey('without API server or etcd, traffic goes on and tables stay', async (t, stage) => {
  const load = await startLoadOnServer(stage);
  for (const program of ['kube-apiserver', 'etcd'] as const) {
    const [controlPlane] = await meshPods(stage.cluster, 'control-plane');
    await during(t, stage, program, async () => {
      await load.goOn(OUTAGE_REQUESTS);
      t.regex(await readinessOfControlPlane(stage, controlPlane!), /^ready/, program);
    });
    await assertHealed(t, stage, load);
  }
  await takeAway(t, stage, 'control-plane');
  await during(t, stage, 'kube-apiserver', () => load.goOn(OUTAGE_REQUESTS));
  await installMesh(stage.cluster);
  await assertHealed(t, stage, load);
  assertNothingFailed(t, await load.stop());
});

journey('without an injector, pods start without a sidecar, and work', async (t, stage) => {
  const load = await startLoadOnServer(stage);
  await takeAway(t, stage, 'injector');
  const bare = await stage.startLoad({ name: 'bare', url: URL });
  t.deepEqual(await stage.cluster.pods(stage.namespace, 'app=bare,cortexflow.io/injected=true'), []);
  await bare.goOn(50);
  await installMesh(stage.cluster);
  await stage.startLoad({ name: 'injected', url: URL });
  t.is((await stage.cluster.pods(stage.namespace, 'app=injected,cortexflow.io/injected=true')).length, 1);
  assertNothingFailed(t, await bare.stop());
  assertNothingFailed(t, await load.stop());
});

/** It is there again when the journey has ended, however it ended. */
async function takeAway(t: ExecutionContext, { cluster }: Stage, part: MeshDeployment): Promise<void> {
  t.teardown(() => installMesh(cluster));
  await removeMeshDeployment(cluster, part);
}

/** The program is away until the action has ended, and a server ends and starts again meanwhile, unseen. */
async function during(
  t: ExecutionContext,
  stage: Stage,
  program: 'kube-apiserver' | 'etcd',
  action: () => Promise<void>,
): Promise<void> {
  const { cluster } = stage;
  const [one] = await stage.pods('server');
  const its = await container(stage, one!.name, 'server');
  const start = async (): Promise<void> => {
    await cluster.startProgram(program);
    await cluster.untilReady();
  };
  t.teardown(start);
  await cluster.stopProgram(program);
  await signalContainer(cluster, one!, its, 'SIGTERM');
  await action();
  await start();
}

/** Resolves when its sidecar has written to its disk what it knows: the endpoints, too, since the client has asked. */
async function untilClientKnowsServer(stage: Stage): Promise<Pod> {
  await stage.kubectl(['wait', 'pod/client', '--for=condition=Ready', '--timeout=300s']);
  await stage.cluster.exec(stage.namespace, 'client/client', ['curl', '-sS', '--fail', URL]);
  const stored = ['cat', '/var/lib/cortexflow/last-good.json'];
  await until(
    'the server in the last good state on the disk of the client',
    () => stage.cluster.exec(stage.namespace, 'client/proxy-sidecar', stored),
    ({ stdout }) => stdout.includes(`${stage.namespace}/server`),
  );
  return stage.pod('client');
}

async function assertRestartedSidecarKnowsServer(
  t: ExecutionContext,
  stage: Stage,
  client: Pod,
): Promise<void> {
  await signalContainer(stage.cluster, client, await container(stage, 'client', 'proxy-sidecar'), 'SIGKILL');
  await until(
    'the restart of the sidecar of the client',
    () => container(stage, 'client', 'proxy-sidecar'),
    ({ restartCount, started }) => restartCount === 1 && started === true,
  );
  t.is(await sidecarPage(stage.cluster, client, '/readyz'), 'ready\n');
  const { code, stderr } = await stage.cluster.exec(stage.namespace, 'client/client', ['curl', '-sS', URL]);
  t.is(code, 0, stderr);
  t.is(await balancedBy(stage, client), 1);
}

async function startLoadOnServer(stage: Stage): Promise<Load> {
  await stage.apply(deployment({ name: 'server', replicas: 2 }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
  return stage.startLoad({ url: URL });
}

/** Pods that come and go are known again, once the sidecar has found its control plane. */
async function assertHealed(t: ExecutionContext, stage: Stage, load: Load): Promise<void> {
  await stage.untilConnected(load.pod);
  await stage.kubectl(['rollout', 'restart', 'deployment/server']);
  await stage.untilRolledOut('server');
  const pods = await stage.pods('server');
  await load.untilAnsweredBy(pods);
  t.is(
    (await stage.cluster.pods(stage.namespace, 'app=server,cortexflow.io/injected=true')).length,
    pods.length,
  );
  assertNothingFailed(t, await load.report());
}

/** Connections to the server for which a pod's sidecar chose the endpoint itself. */
async function balancedBy(stage: Stage, from: Pod): Promise<number> {
  const metrics = await stage.metrics(from);
  const labels = { direction: 'outbound', service: `${stage.namespace}/server` };
  return metrics.sum('cortexflow_tcp_endpoint_connections_opened_total', labels);
}

function readinessOfControlPlane({ cluster }: Stage, controlPlane: Pod): Promise<string> {
  return podPage(cluster, controlPlane, { port: CONTROL_PLANE_ADMIN_PORT, path: '/readyz' });
}
