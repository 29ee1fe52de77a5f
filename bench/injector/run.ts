/**
 * How many reviews the injector answers on one core, beside the least that a webhook in Koa can do.
 *
 *   npm run bench:injector -- [--rounds 5] [--seconds 3] [--connections 16]
 *
 * Needs Linux with two cores and taskset: the server has one to itself, the load the other.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { issueAuthority, issueServer } from '../../injector/certificates/issue.ts';
import { podReview } from '../../test/injector/reviews.ts';
import { load, type LoadResult } from './load.ts';
import type { Usage } from './server.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '16' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);

const REVIEW_BYTES = 7_000;
/** Compilers are done by then. */
const WARM_UP_SECONDS = 4;

interface Contestant {
  readonly label: string;
  readonly server: 'cortexflow' | 'koa';
  readonly body: string;
}

const ANNOTATIONS = {
  'cortexflow.io/exclude-outbound-ports': '5432,8000-8010',
  'cortexflow.io/exclude-outbound-cidrs': '10.0.0.0/8',
  'cortexflow.io/proxy-memory-limit': '128Mi',
};

const CONTESTANTS: readonly Contestant[] = [
  { label: 'bare Koa', server: 'koa', body: review({}) },
  { label: 'injected', server: 'cortexflow', body: review({}) },
  { label: 'injected, with annotations', server: 'cortexflow', body: review(ANNOTATIONS) },
  { label: 'left as it is', server: 'cortexflow', body: review({ 'proxy-injection': 'disabled' }) },
];

interface Sample {
  readonly rate: number;
  readonly cpuMicros: number;
  readonly p50: number;
  readonly p99: number;
}

const validity = { from: Date.now() - 60_000, until: Date.now() + 86_400_000 };
const authority = await issueAuthority(validity);
const { certificate, key } = await issueServer(authority, ['127.0.0.1'], validity);

execFileSync('taskset', ['-p', '-c', '1', String(process.pid)], { stdio: 'ignore' });
const servers = { cortexflow: await begin('cortexflow'), koa: await begin('koa') };
const samples = new Map(CONTESTANTS.map(({ label }) => [label, [] as Sample[]]));
for (const contestant of CONTESTANTS) await measure(contestant, WARM_UP_SECONDS);
for (let round = 0; round < rounds; round += 1) {
  for (const contestant of CONTESTANTS) {
    samples.get(contestant.label)?.push(await measure(contestant, seconds));
  }
}
for (const { child } of Object.values(servers)) child.disconnect();
report();

function review(annotations: Readonly<Record<string, string>>): string {
  const pod = {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { generateName: 'web-7d4b9c6f5-', namespace: 'demo', labels: { app: 'web' }, annotations },
    spec: {
      volumes: [{ name: 'kube-api-access-x2x7z', projected: { sources: [], defaultMode: 420 } }],
      containers: [
        {
          name: 'app',
          image: 'registry.example/web:1.2.3',
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: [] as { name: string; value: string }[],
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          terminationMessagePath: '/dev/termination-log',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }],
    },
  };
  const { env } = pod.spec.containers[0]!;
  while (JSON.stringify(podReview(pod)).length < REVIEW_BYTES) {
    env.push({ name: `SETTING_${env.length}`, value: `value-${env.length}` });
  }
  return JSON.stringify(podReview(pod));
}

async function begin(name: 'cortexflow' | 'koa'): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [name]);
  execFileSync('taskset', ['-a', '-p', '-c', '0', String(child.pid)], { stdio: 'ignore' });
  child.send({ certificate: certificate.pem, key });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

async function cpuMicrosOf(child: ChildProcess): Promise<number> {
  child.send('usage');
  const [{ cpuMicros }] = (await once(child, 'message')) as [Usage];
  return cpuMicros;
}

async function measure({ server, body }: Contestant, duration: number): Promise<Sample> {
  const { child, port } = servers[server];
  const before = await cpuMicrosOf(child);
  const result: LoadResult = await load({
    port,
    ca: authority.certificate.pem,
    body,
    connections,
    seconds: duration,
  });
  const { reviews, latencies } = result;
  return {
    rate: reviews / result.seconds,
    cpuMicros: ((await cpuMicrosOf(child)) - before) / reviews,
    p50: latencies[Math.floor(reviews * 0.5)] ?? Number.NaN,
    p99: latencies[Math.floor(reviews * 0.99)] ?? Number.NaN,
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function report(): void {
  const rows = CONTESTANTS.map(({ label }) => {
    const all = samples.get(label) ?? [];
    const of = (field: keyof Sample): number => median(all.map((sample) => sample[field]));
    const rates = all.map(({ rate }) => Math.round(rate));
    return {
      label,
      rate: Math.round(of('rate')),
      lowest: Math.min(...rates),
      highest: Math.max(...rates),
      cpuMicros: of('cpuMicros'),
      p50: of('p50'),
      p99: of('p99'),
    };
  });
  const floor = rows[0]!;
  console.log(
    `${REVIEW_BYTES} bytes, ${connections} connections, median of ${rounds} interleaved rounds; load ${loadavg()[0]?.toFixed(1)}`,
  );
  console.log('| | reviews/s | lowest – highest | ÷ bare Koa | CPU a review, µs | p50, ms | p99, ms |');
  console.log('| - | - | - | - | - | - | - |');
  for (const { label, rate, lowest, highest, cpuMicros, p50, p99 } of rows) {
    console.log(
      `| ${label} | ${rate} | ${lowest} – ${highest} | ${(rate / floor.rate).toFixed(2)} | ${cpuMicros.toFixed(1)} | ${p50.toFixed(2)} | ${p99.toFixed(2)} |`,
    );
  }
  console.log(JSON.stringify({ bench: 'injector', connections, rounds, seconds, rows }));
}
