import { type ContainerStatus, containers } from '../journey/containers.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { Metrics } from '../journey/metrics.ts';
import { mountedPrograms, mounts, SERVERS, volumes } from '../journey/mounted.ts';
import { APP, pod } from '../journey/objects.ts';
import { until } from '../journey/until.ts';

// The kubelet's probes say of an application what they would say without a sidecar.

const journey = journeys({ name: 'probes' });
const SOON = { terminationGracePeriodSeconds: 1 };
const NOBODY = 9;
const OFTEN = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10 };
/** The servers take a while to start, and nobody is to be killed for that. */
const PATIENT = { ...OFTEN, failureThreshold: 100 };

const http = { httpGet: { path: '/', port: 8080 } };
const tcp = { tcpSocket: { port: 7070 } };
const grpc = { grpc: { port: 50051 } };
const exec = { exec: { command: ['true'] } };
const nobody = { tcpSocket: { port: NOBODY } };

/** Each a container that does nothing: what its probes ask is the pod. */
const PROBES = {
  'starts-by-http': { startupProbe: http, livenessProbe: tcp, readinessProbe: grpc },
  'starts-by-grpc': { startupProbe: grpc, livenessProbe: http, readinessProbe: exec },
  'http-503': { readinessProbe: { httpGet: { path: '/broken', port: 8080 } } },
  'http-nobody': { readinessProbe: { httpGet: { path: '/', port: NOBODY } } },
  'tcp-nobody': { readinessProbe: nobody },
  'grpc-down': { readinessProbe: { grpc: { port: 50051, service: 'down' } } },
  'exec-false': { readinessProbe: { exec: { command: ['false'] } } },
  'never-starts': { startupProbe: { ...nobody, failureThreshold: 2 } },
} as const;

const READY = {
  servers: true,
  'starts-by-http': true,
  'starts-by-grpc': true,
  'http-503': false,
  'http-nobody': false,
  'tcp-nobody': false,
  'grpc-down': false,
  'exec-false': false,
  'never-starts': false,
};
/** `never-starts` is killed again and again, with ever longer pauses. */
const FAILING = Object.entries(READY).flatMap(([name, ready]) =>
  ready || name === 'never-starts' ? [] : [name],
);
/** Probes of each that failed after the servers were up. */
const FAILURES = 3;

journey('probes of every kind pass, and fail, as they do without a sidecar', async (t, stage) => {
  await stage.apply(
    mountedPrograms(),
    probed('with', {}),
    probed('without', { 'proxy-injection': 'disabled' }),
  );
  for (const name of ['with', 'without']) {
    // By now it was killed for its failed probe, and started again.
    await untilStatus(stage, name, 'never-starts', ({ restartCount }) => restartCount > 0);
    for (const one of ['servers', 'starts-by-http', 'starts-by-grpc']) {
      await untilStatus(stage, name, one, ({ ready }) => ready);
    }
    const { before, after } = await untilAllFailed(stage, name);
    for (const one of FAILING)
      t.is(after.passed(one), before.passed(one), `${one} of ${name} passed a probe`);
    const statuses = await containers(stage, name);
    const own = statuses.filter(({ name: one }) => !one.startsWith('proxy-'));
    t.deepEqual(Object.fromEntries(own.map(({ name: one, ready }) => [one, ready])), READY, name);
    const restarted = own.filter(({ restartCount }) => restartCount > 0).map(({ name: one }) => one);
    t.deepEqual(restarted, ['never-starts'], name);
  }

  const opened = (await stage.metrics(await stage.pod('with'))).sums(
    'cortexflow_tcp_connections_opened_total',
    'service',
    { direction: 'inbound' },
  );
  t.deepEqual(Object.keys(opened).toSorted(), ['50051', '7070', '8080'], 'the probes go through the sidecar');
});

journey('a TCP probe follows its port: closed, opened and closed again', async (t, stage) => {
  const followed = { ...tcp, ...OFTEN };
  await stage.apply(
    mountedPrograms(),
    pod({
      name: 'server',
      command: SERVERS,
      ready: 'none',
      container: { ...mounts, readinessProbe: followed },
      spec: { ...volumes, ...SOON },
    }),
  );
  for (const change of ['close', 'open', 'close'] as const) {
    await untilStatus(stage, 'server', 'server', ({ ready }) => ready === (change === 'close'));
    const { code, stderr } = await stage.cluster.exec(stage.namespace, 'server/server', [
      'curl',
      '-sS',
      `http://127.0.0.1:8080/${change}`,
    ]);
    t.is(code, 0, stderr);
  }
  await untilStatus(stage, 'server', 'server', ({ ready }) => !ready);
  t.pass();
});

function probed(name: string, annotations: Readonly<Record<string, string>>): unknown {
  const servers = { name: 'servers', image: APP, command: SERVERS, ...mounts };
  const others = Object.entries(PROBES).map(([one, probes]) => idle(one, probes));
  return pod({ name, annotations, spec: { containers: [servers, ...others], ...volumes, ...SOON } });
}

function idle(name: string, probes: Readonly<Record<string, object>>): unknown {
  const patient: Record<string, object> = {};
  for (const [kind, probe] of Object.entries(probes)) patient[kind] = { ...PATIENT, ...probe };
  return { name, image: APP, command: ['sleep', 'infinity'], ...patient };
}

function untilStatus(
  stage: Stage,
  podName: string,
  name: string,
  satisfies: (status: ContainerStatus) => boolean,
): Promise<unknown> {
  return until(
    `the awaited status of container ${name} of ${podName}`,
    () => containers(stage, podName),
    (all) => all.some((one) => one.name === name && satisfies(one)),
  );
}

interface Probes {
  passed(container: string): number;
  failed(container: string): number;
}

async function untilAllFailed(stage: Stage, name: string): Promise<{ before: Probes; after: Probes }> {
  const before = await probesOf(stage, name);
  const after = await until(
    `${FAILURES} more failures of each failing probe of ${name}`,
    () => probesOf(stage, name),
    (now) => FAILING.every((one) => now.failed(one) >= before.failed(one) + FAILURES),
  );
  return { before, after };
}

/** What the kubelet has counted. Events would tell less: it sends few of them for one pod. */
async function probesOf(stage: Stage, podName: string): Promise<Probes> {
  const { node } = await stage.pod(podName);
  const page = await stage.cluster.mustKubectl([
    'get',
    '--raw',
    `/api/v1/nodes/${node}/proxy/metrics/probes`,
  ]);
  const metrics = new Metrics(page);
  const sum = (container: string, result: string): number =>
    metrics.sum('prober_probe_total', { namespace: stage.namespace, pod: podName, container, result });
  return {
    passed: (container) => sum(container, 'successful'),
    failed: (container) => sum(container, 'failed'),
  };
}
