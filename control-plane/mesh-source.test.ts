import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { LogLevel, stderrLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
import { until } from '../test/until.ts';
import { readConfig } from './config.ts';
import { startMesh } from './mesh-source.ts';
import { SnapshotCell } from './xds/snapshot.ts';

const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n';

test('a broken file at the start is why the mesh is not ready, and nothing is published', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cortexflow-mesh-'));
  await writeFile(join(directory, 'a.yaml'), SERVICE);
  await writeFile(join(directory, 'b.yaml'), 'b: "\n');
  const read = readConfig((name) => (name === 'CORTEXFLOW_DIRECTORY' ? directory : undefined));
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  const [readiness, snapshots] = [new Readiness(), new SnapshotCell()];
  const logger = stderrLogger('test', 'text', new LogLevel('error'));
  const empty = snapshots.current;
  const { mesh, source, synced } = await startMesh(read.config, { snapshots, readiness, logger });
  t.deepEqual(readiness.reasons, [`reading ${directory}`]);
  await until(
    'an obstacle',
    () => source.obstacles(),
    ({ length }) => length > 0,
  );
  t.deepEqual(readiness.reasons, [
    `reading ${directory}; in the way: File ${directory}/b.yaml (${directory}/b.yaml:2:1): is no valid YAML here: Missing closing "quote; until it is mended, what stood here before stays`,
  ]);
  t.is(snapshots.current, empty);
  await rm(join(directory, 'b.yaml'));
  await synced;
  t.true(readiness.isReady);
  t.not(snapshots.current, empty);
  await source.close();
  mesh.close();
  await rm(directory, { recursive: true });
});
