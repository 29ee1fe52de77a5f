import '../process/node-version.mjs';
import { lookup } from 'node:dns/promises';
import type { Server } from 'node:https';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { connectApiServer } from '../api-server/connection.ts';
import { surviveAcceptErrors } from '../process/accept-errors.ts';
import { startAdmin } from '../process/admin.ts';
import type { Address } from '../process/environment.ts';
import { hostPort, listen } from '../process/listen.ts';
import type { Logger, LogLevel } from '../process/log.ts';
import { runProgram } from '../process/program.ts';
import { Readiness } from '../process/readiness.ts';
import { schedule } from '../process/schedule.ts';
import { type ShutdownStep, shutDownOnSignal } from '../process/shutdown.ts';
import { createApp } from './app.ts';
import { ServedCertificate } from './certificates/serving.ts';
import { type Certificates, startCertificates } from './certificates/start.ts';
import { type InjectorConfig, readConfig } from './config.ts';
import { ControlPlaneAddresses } from './control-plane-addresses.ts';
import { createInjection, type Injection } from './injection.ts';
import { exposeReviews, exposeUpkeep } from './metrics.ts';
import { type Namespaces, watchNamespaces } from './namespaces.ts';
import { requireNativeSidecars } from './native-sidecars.ts';
import { createReviewer } from './reviewer.ts';
import { closeServer, createWebhookServer } from './server.ts';

async function start(config: InjectorConfig, level: LogLevel, logger: Logger): Promise<void> {
  const readiness = new Readiness();
  const registry = new Registry();
  const api = await connectApiServer({ userAgent: 'cortexflow-injector' });
  const namespaces: Namespaces = watchNamespaces({
    api,
    logger,
    synced: readiness.block(
      () => `waiting for the Namespaces: ${namespaces.watch.problem ?? 'reading them'}`,
    ),
  });
  const { injection, addresses } = prepareInjection(config.proxy, logger);

  const ending = new AbortController();
  const { surroundings } = config;
  const review = createReviewer({ findNamespace: namespaces.find, injection, surroundings });
  const observe = exposeReviews(registry);
  const webhook = createWebhookServer(
    createApp({ review, observe, isEnding: () => ending.signal.aborted, logger }),
  );
  const served = new ServedCertificate(webhook);
  const certificates: Certificates = startCertificates(config.certificates, {
    api,
    served,
    logger,
    ready: readiness.block(() => certificates.obstacle ?? 'waiting for the certificate'),
  });

  collectDefaultMetrics({ register: registry });
  exposeUpkeep(registry, { namespaces: namespaces.watch, certificate: served, certificates });
  const admin = await startAdmin({ ...config.admin, readiness, registry, level, logger });
  const port = await listenForReviews(webhook, config.webhook, logger);
  const version = requireNativeSidecars(api, { logger, readiness });
  void addresses.start();
  const steps: readonly ShutdownStep[] = [
    { name: 'readiness', run: () => void readiness.block('shutting down') },
    { name: 'connections', run: () => letGo(ending, config.drainMs) },
    { name: 'reviews', run: () => closeServer(webhook) },
    { name: 'API server', run: () => close(version, certificates, namespaces.watch, addresses, api) },
    { name: 'admin page', run: () => admin.close() },
  ];
  shutDownOnSignal({ logger, timeoutMs: config.shutdownMs, steps });

  logger.info('Serving', {
    webhook: hostPort(config.webhook.host, port),
    admin: hostPort(config.admin.host, admin.port),
    apiServer: api.address,
  });
}

async function listenForReviews(webhook: Server, { host, port }: Address, logger: Logger): Promise<number> {
  const bound = await listen(webhook, 'the webhook', host, port);
  surviveAcceptErrors(webhook, 'the webhook', logger);
  return bound;
}

/** What pods get, made anew whenever the control plane's address changes. */
function prepareInjection(
  { controlPlane, ...settings }: InjectorConfig['proxy'],
  logger: Logger,
): { injection: () => Injection; addresses: ControlPlaneAddresses } {
  let current: Injection;
  const change = (addresses: readonly string[]): void => {
    current = createInjection({ ...settings, controlPlane: addresses });
  };
  const addresses = new ControlPlaneAddresses({
    controlPlane,
    logger,
    world: { now: Date.now, schedule, lookup: async (host) => (await lookup(host)).address },
    changed: change,
  });
  change(addresses.current);
  return { injection: () => current, addresses };
}

/** Reviews go on, and end their connections: API servers make the next ones to another replica. */
function letGo(ending: AbortController, milliseconds: number): Promise<void> {
  ending.abort();
  return new Promise((resolve) => void schedule(milliseconds, resolve));
}

function close(...parts: readonly { close(): void }[]): void {
  for (const part of parts) part.close();
}

await runProgram({ name: 'injector', read: readConfig, start });
