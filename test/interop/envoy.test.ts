import { isDeepStrictEqual } from 'node:util';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { createXdsEngine } from '../../control-plane/xds/engine.ts';
import type { XdsEngine } from '../../control-plane/xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../../control-plane/xds/server-options.ts';
import { AGGREGATED } from '../../control-plane/xds/services.ts';
import type { Resource } from '../../control-plane/xds/snapshot.ts';
import { EMPTY_SNAPSHOT, SnapshotCell, withChanges } from '../../control-plane/xds/snapshot.ts';
import { ENVOY_KINDS } from '../../examples/envoy-kinds.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { findInstalled } from '../tools/installed.ts';
import { until } from '../until.ts';
import { recordingLogger } from '../xds/serve.ts';
import type { LogLine } from '../xds/serve.ts';
import { clusterResource, endpointsResource } from './envoy-resources.ts';
import { startEnvoy } from './envoy.ts';
import type { EnvoyView } from './envoy.ts';

// A real Envoy waits without end for the endpoints of a Cluster that changed, since its fetch timeout is off here.

const binary = findInstalled('envoy');
const MISSING = 'Envoy is not installed: see “Set up” in CONTRIBUTING.md';
const envoyTest = testThatNeeds(binary === undefined ? MISSING : undefined, test);

for (const api of ['DELTA_GRPC', 'GRPC'] as const) {
  envoyTest(`${api}: given a Cluster that changes, its endpoints follow and it leaves warming`, async (t) => {
    const { publish, becomes } = await run(t, api, [
      clusterResource('web', 1),
      endpointsResource('web', 7001),
      clusterResource('db', 1, 'database'),
      endpointsResource('database', 7002),
    ]);
    await becomes('both Clusters are active', { web: '1s', db: '1s' }, { web: [7001], db: [7002] });

    publish(clusterResource('web', 2));
    await becomes('the change of web is active', { web: '2s', db: '1s' }, { web: [7001], db: [7002] });

    publish(clusterResource('db', 3, 'database'));
    await becomes('the change of db is active', { web: '2s', db: '3s' }, { web: [7001], db: [7002] });

    publish(clusterResource('web', 4), endpointsResource('web', 7003));
    await becomes('both changes are active', { web: '4s', db: '3s' }, { web: [7003], db: [7002] });
  });

  envoyTest(`${api}: given a Cluster that changes while Envoy is away, it leaves warming`, async (t) => {
    const { engine, publish, becomes } = await run(t, api, [
      clusterResource('web', 1),
      endpointsResource('web', 7001),
    ]);
    await becomes('the Cluster is active', { web: '1s' }, { web: [7001] });
    for (const stream of engine.streams()) stream.end(status.UNAVAILABLE, 'Come back.');
    publish(clusterResource('web', 2));
    await becomes('the change is active', { web: '2s' }, { web: [7001] });
  });
}

interface Running {
  readonly engine: XdsEngine;
  readonly publish: (...resources: Resource[]) => void;
  /** Nothing is warming, and these are the timeouts and ports of the Clusters. */
  readonly becomes: (what: string, active: EnvoyView['active'], ports: EnvoyView['ports']) => Promise<void>;
}

async function run(
  t: ExecutionContext,
  api: 'DELTA_GRPC' | 'GRPC',
  resources: readonly Resource[],
): Promise<Running> {
  const log: LogLine[] = [];
  const snapshots = new SnapshotCell(withChanges(EMPTY_SNAPSHOT, { upserts: resources, removals: [] }));
  const engine = createXdsEngine({ snapshots, logger: recordingLogger(log), ...ENVOY_KINDS });
  const server = new Server(XDS_SERVER_OPTIONS);
  engine.addTo(server, [AGGREGATED]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  t.teardown(() => {
    engine.close();
    server.forceShutdown();
  });
  const envoy = await startEnvoy(binary as string, port, api);
  t.teardown(() => envoy.stop());
  return {
    engine,
    publish: (...upserts) => snapshots.replace(withChanges(snapshots.current, { upserts, removals: [] })),
    becomes: async (what, active, ports) => {
      const wanted: EnvoyView = { active, ports, warming: [] };
      await until(
        what,
        () => envoy.view(),
        (seen) => isDeepStrictEqual(seen, wanted),
      );
      // Envoy has nothing to reject.
      t.deepEqual(log, []);
    },
  };
}
