import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { LogLevel, stderrLogger } from '../process/log.ts';
import { Readiness } from '../process/readiness.ts';
import { until } from '../test/until.ts';
import { SERVICE_TYPE_URL } from '../wire/resource-kinds.ts';
import { readConfig } from './config.ts';
import { startMesh } from './mesh-source.ts';
import { SnapshotCell } from './xds/snapshot.ts';

const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n';

test('given a broken file at the start, serves the others, says so, and removes nothing until it is mended', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cortexflow-mesh-'));
  await writeFile(join(directory, 'a.yaml'), SERVICE);
  await writeFile(join(directory, 'b.yaml'), 'b: "\n');
  const read = readConfig((name) => (name === 'CORTEXFLOW_DIRECTORY' ? directory : undefined));
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  const [readiness, snapshots] = [new Readiness(), new SnapshotCell()];
  const logger = stderrLogger('test', 'text', new LogLevel('error'));
  const { mesh, source, synced } = await startMesh(read.config, { snapshots, readiness, logger });
  t.teardown(async () => {
    await source.close();
    mesh.close();
    await rm(directory, { recursive: true });
  });
  t.deepEqual(readiness.reasons, [`reading ${directory}`]);
  await synced;
  t.true(readiness.isReady);
  t.deepEqual(readiness.remarks, [
    `not all files are served as they stand: File ${directory}/b.yaml (${directory}/b.yaml:2:1): is no valid YAML here: Missing closing "quote; until it is mended, what stood here before stays`,
  ]);
  const published = await until(
    'a snapshot is published',
    () => snapshots.current,
    ({ types }) => types.has(SERVICE_TYPE_URL),
  );
  t.true(published.isPartial);
  await rm(join(directory, 'b.yaml'));
  const mended = await until(
    'the snapshot is whole',
    () => snapshots.current,
    ({ isPartial }) => isPartial === false,
  );
  t.is(mended.types, published.types);
  t.deepEqual(readiness.remarks, []);
});
