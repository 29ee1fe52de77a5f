/** Certificates and authorities are replaced while a real API server calls the webhook without a pause. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import test from 'ava';
import { connectApiServer } from '../../api-server/connection.ts';
import { createApp } from '../../injector/app.ts';
import { OwnCertificates } from '../../injector/certificates/own-certificates.ts';
import type { RotationPolicy } from '../../injector/certificates/rotation.ts';
import { ServedCertificate } from '../../injector/certificates/serving.ts';
import { createInjection } from '../../injector/injection.ts';
import { createReviewer } from '../../injector/reviewer.ts';
import { closeServer, createWebhookServer } from '../../injector/server.ts';
import { listen } from '../../process/listen.ts';
import { createLogger } from '../../process/log.ts';
import { schedule } from '../../process/schedule.ts';
import { mustCall } from '../cluster/api-client.ts';
import { whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { CONFIGURATIONS, InjectorCluster } from './cluster.ts';
import { PLAIN_POD } from './reviews.ts';

/** Years in seconds. */
const POLICY: RotationPolicy = {
  authorityLifeMs: 24_000,
  serverLifeMs: 12_000,
  overlapMs: 2_000,
  backdateMs: 1_000,
  recheckMs: 1_000,
  repeatMs: 1_000,
};

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });

testThatNeeds(whyNoApiServer(), test)('no admission fails while certificates are replaced', async (t) => {
  t.timeout(240_000);
  const cluster = await InjectorCluster.start();
  t.teardown(() => cluster.stop());
  const kubeconfig = await cluster.server.kubeconfigFor('injector', 'cortexflow');
  const api = await connectApiServer({ lookup: (name) => (name === 'KUBECONFIG' ? kubeconfig : undefined) });
  const injection = createInjection({ image: 'i', controlPlane: [], adminHost: '::', resources: {} });
  const server = createWebhookServer(
    createApp({
      review: createReviewer({ findNamespace: (name) => ({ name }), injection: () => injection }),
      observe: () => {},
      isEnding: () => false,
      logger,
    }),
  );
  const port = await listen(server, 'the webhook', '127.0.0.1', 0);
  const ready = Promise.withResolvers<void>();
  const certificates = new OwnCertificates({
    api,
    served: new ServedCertificate(server),
    namespace: 'cortexflow',
    secret: 'injector-certificate',
    configuration: 'cortexflow-injector',
    hosts: ['127.0.0.1'],
    policy: POLICY,
    logger,
    world: { now: Date.now, random: Math.random, schedule },
    progressed: () => {
      if (certificates.obstacle === undefined) ready.resolve();
    },
  });
  t.teardown(async () => {
    certificates.close();
    api.close();
    server.closeAllConnections();
    await closeServer(server);
  });
  await cluster.configure(`127.0.0.1:${port}`, 'Fail');
  await ready.promise;

  const bundles = new Set<string>();
  const shown = new Set<string>();
  let admitted = 0;
  const over = new AbortController();
  const admit = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const { status, body } = await cluster.tryPod({ ...PLAIN_POD, metadata: { name: 'web' } });
      if (status !== 201) throw new Error(JSON.stringify(body));
      admitted += 1;
    }
  };
  /** A connection of its own each time, as when an API server begins. */
  const shake = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const bundle = await caBundle(cluster);
      const socket = connect({ host: '127.0.0.1', port, ca: Buffer.from(bundle, 'base64') });
      await once(socket, 'secureConnect');
      shown.add(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
      socket.destroy();
      bundles.add(bundle);
      // One authority, two, and one again: the other one.
      if (bundles.size >= 3) over.abort();
    }
  };
  await Promise.all([admit(), admit(), shake(), shake()]);
  t.true(shown.size >= 3);
  t.true(admitted > 0);
  t.log(`${admitted} pods admitted, ${shown.size} certificates, ${bundles.size} caBundles`);
});

async function caBundle({ server }: InjectorCluster): Promise<string> {
  const configuration = (await mustCall(server.admin, {
    method: 'GET',
    path: `${CONFIGURATIONS}/cortexflow-injector`,
  })) as { webhooks: { clientConfig: { caBundle: string } }[] };
  return configuration.webhooks[0]!.clientConfig.caBundle;
}
