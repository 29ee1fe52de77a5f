/** The ends of a pod's life: what runs before the application, its first packet, and that a Job ends. */
import type { ExecutionContext } from 'ava';
import { getJson, sidecarLog, taken } from '../journey/asking.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { deployment, podTemplate, service } from '../journey/objects.ts';

const journey = journeys({ name: 'start-and-end' });

const URL = 'http://server:8080/';
const CURL = ['curl', '-sS', '--fail', '--max-time', '10'];
/** So that the log tells of each connection once the metrics are gone. */
const TELL_ALL = { 'cortexflow.io/log-level': 'debug' };
const NEVER_AGAIN = { restartPolicy: 'Never' };

interface ContainerStatus {
  readonly name: string;
  readonly state: { readonly terminated?: { readonly exitCode: number } };
}

interface PodStatus {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly phase: string;
    readonly initContainerStatuses: readonly ContainerStatus[];
    readonly containerStatuses: readonly ContainerStatus[];
  };
}

journey('Jobs and CronJobs end as their container does, and the sidecar after it', async (t, stage) => {
  const jobs = {
    good: job('good', [...CURL, URL]),
    bad: job('bad', ['sh', '-c', `${CURL.join(' ')} ${URL} && exit 7`]),
  };
  const cron = { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'hourly' } };
  await startServer(stage);
  await stage.apply(jobs.good, jobs.bad, {
    ...cron,
    spec: { schedule: '0 * * * *', suspend: true, jobTemplate: { spec: job('cron', [...CURL, URL]).spec } },
  });

  await stage.kubectl(['wait', 'job/good', '--for=condition=Complete', '--timeout=300s']);
  t.deepEqual(await endOf(t, stage, 'good'), { phase: 'Succeeded', exitCode: 0 });
  await stage.kubectl(['wait', 'job/bad', '--for=condition=Failed', '--timeout=300s']);
  t.deepEqual(await endOf(t, stage, 'bad'), { phase: 'Failed', exitCode: 7 });

  // As its schedule would, and nothing waits for the hour.
  await stage.kubectl(['create', 'job', 'at-once', '--from=cronjob/hourly']);
  await stage.kubectl(['wait', 'job/at-once', '--for=condition=Complete', '--timeout=300s']);
  t.deepEqual(await endOf(t, stage, 'cron'), { phase: 'Succeeded', exitCode: 0 });
});

journey('an init container of the application is in the mesh already', async (t, stage) => {
  await startServer(stage);
  const early = {
    name: 'early',
    image: 'cortexflow-test/app:1',
    command: [...CURL, '--output', '/shared/answer', URL],
    volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
  };
  const waiting = {
    name: 'waiting',
    command: ['sleep', 'infinity'],
    ready: 'none',
    container: { volumeMounts: early.volumeMounts },
    spec: {
      initContainers: [early],
      volumes: [{ name: 'shared', emptyDir: {} }],
      terminationGracePeriodSeconds: 0,
    },
  } as const;
  await stage.apply(deployment(waiting));
  await stage.untilRolledOut('waiting');
  const pod = await stage.pod('waiting');
  const { stdout } = await stage.cluster.exec(stage.namespace, pod.name, ['cat', '/shared/answer']);
  t.regex(stdout, /"pod":"server-/);
  t.deepEqual(await taken(stage, pod, 'outbound'), { [`${stage.namespace}/server`]: 1 });
});

journey('the first packet of an application goes through the mesh, and is answered', async (t, stage) => {
  await startServer(stage);
  const { spec } = await getJson<{ spec: { clusterIP: string } }>(
    stage.cluster,
    'service/server',
    '-n',
    stage.namespace,
  );
  // Not even a name is looked up before it.
  const many = job('first', [...CURL, `http://${spec.clusterIP}:8080/`], { completions: 6, parallelism: 3 });
  await stage.apply(many);
  await stage.kubectl(['wait', 'job/first', '--for=condition=Complete', '--timeout=300s']);
  const pods = await podsOf(stage, 'first');
  t.is(pods.length, 6);
  for (const { metadata } of pods) await wentThroughTheMesh(t, stage, metadata.name);
});

async function startServer(stage: Stage): Promise<void> {
  await stage.apply(deployment({ name: 'server', replicas: 2 }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
}

interface Job {
  readonly spec: object;
}

/** Its pods are tried once. */
function job(name: string, command: readonly string[], more: object = {}): Job {
  const template = podTemplate({ name, command, ready: 'none', annotations: TELL_ALL, spec: NEVER_AGAIN });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { backoffLimit: 0, template, ...more },
  } as Job;
}

async function podsOf({ cluster, namespace }: Stage, app: string): Promise<readonly PodStatus[]> {
  const { items } = await getJson<{ items: readonly PodStatus[] }>(
    cluster,
    'pods',
    '-n',
    namespace,
    '-l',
    `app=${app}`,
  );
  return items;
}

/** How the application of the Job's only pod ended; of the sidecar, that it did its work and ended in order. */
async function endOf(
  t: ExecutionContext,
  stage: Stage,
  app: string,
): Promise<{ phase: string; exitCode: number | undefined }> {
  const [pod] = await podsOf(stage, app);
  if (pod === undefined) throw new Error(`There is no pod of ${app}`);
  const { metadata, status } = pod;
  t.deepEqual(
    status.initContainerStatuses.map(({ name, state }) => [name, state.terminated?.exitCode]),
    [
      ['proxy-init', 0],
      ['proxy-sidecar', 0],
    ],
  );
  await wentThroughTheMesh(t, stage, metadata.name);
  return { phase: status.phase, exitCode: status.containerStatuses[0]?.state.terminated?.exitCode };
}

/** The one connection that the pod's application made. */
async function wentThroughTheMesh(t: ExecutionContext, stage: Stage, pod: string): Promise<void> {
  const lines = await sidecarLog(stage, pod);
  const ended = lines.filter(({ message }) => message === 'Connection ended.');
  t.deepEqual(
    ended.map(({ ending, service: name, connectAttempts }) => [ending, name, connectAttempts]),
    [['complete', `${stage.namespace}/server`, 1]],
  );
  // It was balanced, and not passed on to kube-proxy.
  const addresses = (await stage.pods('server')).flatMap((server) => server.addresses);
  const endpoint = String(ended[0]?.['endpoint'])
    .replace(/:8080$/, '')
    .replaceAll(/[[\]]/g, '');
  t.true(addresses.includes(endpoint), `${endpoint} is none of ${addresses.join(' ')}`);
}
