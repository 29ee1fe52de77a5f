/** Certificates kept by several replicas in one Secret of a real API server. */
import test, { type ExecutionContext } from 'ava';
import { connectApiServer } from '../../api-server/connection.ts';
import {
  type Bundle,
  issuerOf,
  readBundle,
  type SecretData,
  trustedBy,
} from '../../injector/certificates/bundle.ts';
import { isIssuedBy, parseCertificates } from '../../injector/certificates/certificate.ts';
import { OwnCertificates } from '../../injector/certificates/own-certificates.ts';
import type { ClockWorld } from '../../injector/certificates/reconciler.ts';
import { ROTATION_POLICY, type RotationPolicy } from '../../injector/certificates/rotation.ts';
import { type Pair, ServedCertificate } from '../../injector/certificates/serving.ts';
import { schedule } from '../../process/schedule.ts';
import { createLogger } from '../../process/log.ts';
import { mustCall } from '../cluster/api-client.ts';
import { whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { until } from '../until.ts';
import { CONFIGURATIONS, InjectorCluster, SECRETS } from './cluster.ts';
import { VirtualClock } from './virtual-clock.ts';

const missing = whyNoApiServer();
// One after another: they share a cluster.
const testInCluster = testThatNeeds(missing, test.serial);

let cluster: InjectorCluster;

test.before(async () => {
  if (missing === undefined) cluster = await InjectorCluster.start();
});

test.after.always(() => cluster?.stop());

test.afterEach.always(async () => {
  for (const path of [SECRET, CONFIGURATION]) await cluster?.server.call({ method: 'DELETE', path });
});

const SECRET = `${SECRETS}/injector-certificate`;
const CONFIGURATION = `${CONFIGURATIONS}/cortexflow-injector`;

/** One replica's certificates, and what its server would show. */
class Replica {
  readonly certificates: OwnCertificates;
  readonly served: ServedCertificate;
  readonly warnings: string[] = [];
  shown: Pair | undefined;
  #close: () => void;

  private constructor(
    api: Awaited<ReturnType<typeof connectApiServer>>,
    world: ClockWorld,
    policy: RotationPolicy,
  ) {
    this.served = new ServedCertificate({
      setSecureContext: ({ cert, key }) => {
        this.shown = { certificate: cert as string, key: key as string };
      },
    });
    this.certificates = new OwnCertificates({
      api,
      served: this.served,
      namespace: 'cortexflow',
      secret: 'injector-certificate',
      configuration: 'cortexflow-injector',
      hosts: ['injector.cortexflow.svc'],
      policy,
      world,
      progressed: () => {},
      logger: createLogger({
        format: 'json',
        level: () => 'warn',
        write: (line) => this.warnings.push(line),
        now: () => new Date(),
      }),
    });
    this.#close = () => {
      this.certificates.close();
      api.close();
    };
  }

  static async start(
    t: ExecutionContext,
    { world = REAL, policy = ROTATION_POLICY }: { world?: ClockWorld; policy?: RotationPolicy } = {},
  ): Promise<Replica> {
    const kubeconfig = await cluster.server.kubeconfigFor('injector', 'cortexflow');
    const api = await connectApiServer({
      lookup: (name) => (name === 'KUBECONFIG' ? kubeconfig : undefined),
    });
    const replica = new Replica(api, world, policy);
    t.teardown(() => replica.close());
    return replica;
  }

  async ready(): Promise<void> {
    await until(
      "no obstacle to the replica's certificates",
      async () => this.certificates.obstacle,
      (obstacle) => obstacle === undefined,
    );
  }

  close(): void {
    this.#close();
  }
}

const DAY = 86_400_000;

const REAL: ClockWorld = { now: Date.now, random: Math.random, schedule };

interface Secret {
  readonly metadata: { readonly resourceVersion: string };
  readonly type: string;
  readonly data: SecretData;
}

async function secretOf(): Promise<Secret | undefined> {
  const { status, body } = await cluster.server.call({ method: 'GET', path: SECRET });
  return status === 200 ? (body as Secret) : undefined;
}

async function bundleOf(): Promise<Bundle> {
  const read = readBundle((await secretOf())?.data);
  if (!read.ok) throw new Error(read.why);
  return read.bundle;
}

async function caBundleOf(): Promise<string> {
  const configuration = (await mustCall(cluster.server.admin, { method: 'GET', path: CONFIGURATION })) as {
    webhooks: { clientConfig: { caBundle?: string } }[];
  };
  return Buffer.from(configuration.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
}

function isTrusted(certificate: string, authorities: string): boolean {
  const [server] = parseCertificates(certificate);
  return parseCertificates(authorities).some((authority) => isIssuedBy(server!, authority));
}

testInCluster('replicas that begin at once come to one certificate', async (t) => {
  await cluster.configure('127.0.0.1:1');
  // More than once: who is first is chance.
  for (let round = 0; round < 5; round += 1) {
    const replicas = await Promise.all([1, 2, 3, 4].map(() => Replica.start(t)));
    await Promise.all(replicas.map((replica) => replica.ready()));
    t.is((await secretOf())?.type, 'kubernetes.io/tls');
    const { server } = await bundleOf();
    for (const { shown } of replicas) t.is(shown?.certificate, server.certificate.pem);
    t.true(isTrusted(server.certificate.pem, await caBundleOf()));
    for (const replica of replicas) replica.close();
    await mustCall(cluster.server.admin, { method: 'DELETE', path: SECRET });
  }
});

testInCluster(
  'without a webhook configuration there is a certificate already, and what is missing is said',
  async (t) => {
    const replica = await Replica.start(t);
    await until(
      'the replica waits for its webhook configuration',
      async () => replica.certificates.obstacle,
      (obstacle) =>
        obstacle ===
        'waiting for MutatingWebhookConfiguration cortexflow-injector, which does not exist: apply it',
    );
    t.true(replica.served.isThere);
    await cluster.configure('127.0.0.1:1');
    await replica.ready();
  },
);

testInCluster('a caBundle that somebody changes is set right again, and counted', async (t) => {
  await cluster.configure('127.0.0.1:1');
  const replica = await Replica.start(t);
  await replica.ready();
  const right = await caBundleOf();
  for (const value of [undefined, Buffer.from(right.replaceAll('A', 'B')).toString('base64')]) {
    const before = replica.certificates.repairs;
    const path = '/webhooks/0/clientConfig/caBundle';
    const patched = await cluster.server.call({
      method: 'PATCH',
      path: CONFIGURATION,
      contentType: 'application/json-patch+json',
      body: [value === undefined ? { op: 'remove', path } : { op: 'replace', path, value }],
    });
    // The API server itself keeps out what is no certificate at all.
    if (patched.status !== 200) continue;
    await until('the right CA bundle in the webhook configuration', caBundleOf, (bundle) => bundle === right);
    await until(
      'another repair counted',
      async () => replica.certificates.repairs,
      (repairs) => repairs === before + 1,
    );
  }
  t.regex(replica.warnings.join('\n'), /Somebody changed the caBundle/);
});

function restored(): Promise<Secret | undefined> {
  return until('the certificates in the Secret', secretOf, (secret) => readBundle(secret?.data).ok);
}

testInCluster(
  'a Secret of garbage is explained and replaced by what is served, and so is one that is gone',
  async (t) => {
    await cluster.configure('127.0.0.1:1');
    const replica = await Replica.start(t);
    await replica.ready();
    const before = await bundleOf();
    const data = { 'tls.crt': 'Z2FyYmFnZQ==' };
    await mustCall(cluster.server.admin, {
      method: 'PATCH',
      path: SECRET,
      contentType: 'application/merge-patch+json',
      body: { data },
    });
    await restored();
    t.is((await bundleOf()).server.key, before.server.key);
    t.regex(replica.warnings.join('\n'), /of no use and is replaced.*tls\.crt holds no certificate/);
    await mustCall(cluster.server.admin, { method: 'DELETE', path: SECRET });
    await restored();
    t.is((await bundleOf()).server.key, before.server.key);
  },
);

testInCluster('a replica that finds garbage at its start keeps trusted what others serve', async (t) => {
  await cluster.configure('127.0.0.1:1');
  const old = await Replica.start(t);
  await old.ready();
  const served = old.shown!.certificate;
  // Gone as if it had been cut off: it serves on, and hears of nothing.
  old.close();
  await mustCall(cluster.server.admin, { method: 'DELETE', path: SECRET });
  const fresh = await Replica.start(t);
  await fresh.ready();
  t.not(fresh.shown?.certificate, served);
  const trusted = await caBundleOf();
  t.true(isTrusted(served, trusted));
  t.true(isTrusted(fresh.shown!.certificate, trusted));
});

testInCluster('three years, two replicas: what they serve is valid and trusted all the time', async (t) => {
  await cluster.configure('127.0.0.1:1');
  t.timeout(240_000);
  const clock = new VirtualClock(Date.now());
  const world: ClockWorld = { now: clock.now, schedule: clock.schedule, random: Math.random };
  const policy = { ...ROTATION_POLICY, authorityLifeMs: 365 * DAY, recheckMs: 10 * DAY };
  const replicas = [await Replica.start(t, { world, policy }), await Replica.start(t, { world, policy })];
  const authorities = new Set<string>();
  const servers = new Set<string>();
  /** Whether all that is written has reached everybody. */
  const agreed = async (): Promise<boolean> => {
    for (const { certificates } of replicas) await certificates.settled();
    const trusted = await caBundleOf();
    for (const { shown } of replicas) {
      if (shown === undefined) return false;
      t.true(isTrusted(shown.certificate, trusted));
      t.true(parseCertificates(shown.certificate)[0]!.until > clock.now());
    }
    const bundle = await bundleOf();
    authorities.add(trusted);
    servers.add(bundle.server.key);
    return trusted === trustedBy(bundle) && replicas.every(({ shown }) => shown?.key === bundle.server.key);
  };
  const end = clock.now() + 3 * 365 * DAY;
  while (clock.now() < end) {
    // The network takes real time: the clock stands nearly still meanwhile.
    while (!(await agreed())) {
      clock.next(2_000);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    clock.next();
  }
  t.true(servers.size > 15);
  t.true(authorities.size > 6);
  const last = await bundleOf();
  t.is(issuerOf(last), last.authorities[0]);
});
