import test from 'ava';
import type { ApiServer } from '../api-server/api-server.ts';
import { createLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
import { VirtualClock } from '../test/injector/virtual-clock.ts';
import { requireNativeSidecars } from './native-sidecars.ts';

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });

function checked(version: () => Promise<unknown>) {
  const api: ApiServer = {
    address: 'https://api.example',
    request: version,
    lines: () => new Promise(() => {}),
    close: () => {},
  };
  const clock = new VirtualClock(0);
  const readiness = new Readiness();
  const world = { now: clock.now, schedule: clock.schedule, random: () => 1 };
  const reconciler = requireNativeSidecars(api, { logger, readiness, world });
  return { clock, readiness, settled: () => reconciler.settled() };
}

test('Kubernetes 1.29 and newer, whoever built it', async (t) => {
  for (const gitVersion of ['v1.29.0', 'v1.29.1-gke.100', 'v1.34.4+k3s1', 'v2.0.0', 'unknown', undefined]) {
    const { readiness, settled } = checked(async () => ({ major: '1', minor: '', gitVersion }));
    t.deepEqual(readiness.reasons, ['waiting for the version of the API server: reading it']);
    await settled();
    t.true(readiness.isReady, gitVersion);
  }
});

test('an older one is never made ready, until it is upgraded', async (t) => {
  let gitVersion = 'v1.28.15';
  const { clock, readiness, settled } = checked(async () => ({ gitVersion }));
  await settled();
  t.deepEqual(readiness.reasons, [
    'Kubernetes v1.28.15 has no native sidecars, and a pod that is injected would never start: upgrade the cluster ' +
      'to 1.29 or newer',
  ]);
  gitVersion = 'v1.29.0';
  clock.next();
  await settled();
  t.true(readiness.isReady);
});

test('an API server that cannot be asked is asked again', async (t) => {
  let isAway = true;
  const { clock, readiness, settled } = checked(async () => {
    if (isAway) throw new Error('no route to host');
    return { gitVersion: 'v1.30.0' };
  });
  await settled();
  t.deepEqual(readiness.reasons, ['waiting for the version of the API server: no route to host']);
  isAway = false;
  clock.next();
  await settled();
  t.true(readiness.isReady);
});
