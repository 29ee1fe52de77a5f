import test from 'ava';
import { Registry } from 'prom-client';
import { Mesh } from './mesh/mesh.ts';
import type { Rejection } from './mesh/rejection.ts';
import { exposeControlPlane } from './metrics.ts';
import { createCounters } from './xds/counters.ts';
import { SnapshotCell } from './xds/snapshot.ts';

test('what is broken in the files is counted while it is', async (t) => {
  const registry = new Registry();
  const snapshots = new SnapshotCell();
  const mesh = new Mesh({ snapshots, clock: { now: () => 0, after: () => () => {} } });
  const broken: Rejection[] = [{ object: 'File a.yaml', origin: undefined, problems: ['is broken'] }];
  exposeControlPlane(registry, {
    counters: createCounters(),
    mesh,
    snapshots,
    source: { rejections: () => broken },
  });
  t.regex(await registry.metrics(), /^cortexflow_files_rejections 1$/m);
  broken.length = 0;
  t.regex(await registry.metrics(), /^cortexflow_files_rejections 0$/m);
});
