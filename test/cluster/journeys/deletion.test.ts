import { containers } from '../journey/containers.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { assertNothingFailed } from '../journey/load.ts';
import { deployment, pod, service } from '../journey/objects.ts';
import { until } from '../journey/until.ts';

// A pod that is deleted ends as it would without the mesh: its application decides when.

const journey = journeys({ name: 'deletion' });
/** Keeps the object of a deleted pod until somebody has read how its containers ended. */
const FINALIZER = 'journeys.cortexflow.io/read';
const STREAM_MS = 12_000;
const KEEP_MS = 8_000;

journey('a deleted pod ends on its own, and none of its containers is killed', async (t, stage) => {
  const finalizers = { metadata: { finalizers: [FINALIZER] } };
  await stage.apply(
    pod({ name: 'with' }),
    pod({ name: 'without', annotations: { 'proxy-injection': 'disabled' } }),
  );
  await stage.kubectl(['wait', 'pod', '--all', '--for=condition=Ready', '--timeout=300s']);
  for (const name of ['with', 'without']) await patch(stage, name, finalizers);
  const without = await deletePod(stage, 'without');
  t.deepEqual(without.exitCodes, { without: 0 });
  const withSidecar = await deletePod(stage, 'with');
  t.deepEqual(withSidecar.exitCodes, { with: 0, 'proxy-init': 0, 'proxy-sidecar': 0 });
  t.log(`gone ${withSidecar.ms} ms after the deletion with a sidecar, ${without.ms} ms without`);
});

journey('kept connections of a terminating pod end when its application ends them', async (t, stage) => {
  const command = ['node', '/app/server.ts', '8080', String(KEEP_MS)];
  await stage.apply(deployment({ name: 'server', command, replicas: 2 }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
  const load = await stage.startLoad({ url: 'http://server:8080' });
  const before = await stage.pods('server');
  await until(
    'a kept connection to a server',
    () => load.report(),
    ({ kept }) => before.some(({ name }) => name in kept.answeredBy),
  );
  const { kept } = await load.report();
  const { name } = before.find((one) => one.name in kept.answeredBy)!;
  const deletedAt = Date.now();
  await stage.kubectl(['delete', 'pod', name, '--wait=true', '--timeout=300s']);
  const report = await load.stop();
  assertNothingFailed(t, report);
  const lastAfter = Date.parse(report.kept.answeredBy[name]!.lastAt) - deletedAt;
  t.true(lastAfter >= KEEP_MS, `its last answer on a kept connection was ${lastAfter} ms after its deletion`);
});

journey('a stream from a terminating pod, and one to it, arrive whole', async (t, stage) => {
  const stream = `curl -sSN http://server:8080/stream?ms=${STREAM_MS} > /tmp/stream; `;
  const client = `trap 'true' TERM; until curl -sf http://server:8080; do sleep 0.2; done; ${stream}
    tail -n 1 /tmp/stream > /dev/termination-log; wc -l < /tmp/stream >> /dev/termination-log`;
  await stage.apply(deployment({ name: 'server' }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
  for (const deleted of ['server', 'client'] as const) {
    await stage.apply(
      pod({
        name: 'client',
        command: ['bash', '-c', client],
        ready: 'none',
        spec: { restartPolicy: 'Never' },
      }),
    );
    await patch(stage, 'client', { metadata: { finalizers: [FINALIZER] } });
    await until(
      'the first line of the stream',
      () => stage.cluster.exec(stage.namespace, 'client/client', ['cat', '/tmp/stream']),
      ({ stdout }) => stdout.includes('tick'),
    );
    const { name } = await stage.pod(deleted);
    await stage.kubectl(['delete', 'pod', name, '--wait=false']);
    const [last, lines] = (await messageOf(stage, 'client')).split('\n');
    t.is(last, 'end', `with ${deleted} deleted, the stream ended with "${last}" after ${lines} lines`);
    await patch(stage, 'client', { metadata: { finalizers: null } });
    await stage.kubectl(['delete', 'pod', 'client', '--ignore-not-found', '--timeout=300s']);
    await stage.untilRolledOut('server');
  }
});

interface Ending {
  readonly ms: number;
  readonly exitCodes: Readonly<Record<string, number>>;
}

async function deletePod(stage: Stage, name: string): Promise<Ending> {
  const deletedAt = Date.now();
  await stage.kubectl(['delete', 'pod', name, '--wait=false']);
  const statuses = await until(
    `the end of all containers of ${name}`,
    () => containers(stage, name),
    (all) => all.every(({ state }) => state.terminated !== undefined),
  );
  const ms = Date.now() - deletedAt;
  await patch(stage, name, { metadata: { finalizers: null } });
  return {
    ms,
    exitCodes: Object.fromEntries(statuses.map((one) => [one.name, one.state.terminated!.exitCode])),
  };
}

async function messageOf(stage: Stage, name: string): Promise<string> {
  const statuses = await until(
    `the end of the application of ${name}`,
    () => containers(stage, name),
    (all) => all.some((one) => one.name === name && one.state.terminated !== undefined),
  );
  return statuses.find((one) => one.name === name)!.state.terminated!.message ?? '';
}

function patch(stage: Stage, name: string, change: unknown): Promise<string> {
  return stage.kubectl(['patch', 'pod', name, '--type=merge', '-p', JSON.stringify(change)]);
}
