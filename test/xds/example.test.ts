import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { CLUSTER_TYPE_URL } from '../../examples/envoy-kinds.ts';
import { stringField } from '../../control-plane/xds/resource.ts';
import { ClusterDiscoveryService } from '../../gen/envoy/service/cluster/v3/cds_pb.ts';
import { deltaStream, sotwStream } from './client.ts';

const program = join(import.meta.dirname, '../../examples/xds-server.ts');

function clusters(contents: Record<string, string>): string {
  return JSON.stringify(
    Object.entries(contents).map(([name, text]) => ({
      '@type': CLUSTER_TYPE_URL,
      name,
      // `Cluster.name` tells one version from another.
      value: stringField(1, text).toString('base64'),
    })),
  );
}

test('the hundred-line server serves a file, and pushes when it changes', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'xds-example-'));
  const file = join(directory, 'resources.json');
  await writeFile(file, clusters({ web: '1', db: '1' }));
  const server = spawn(process.execPath, [program, file, '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    if (server.exitCode === null) server.kill('SIGKILL');
    await rm(directory, { recursive: true });
  });
  const [line] = (await once(server.stdout, 'data')) as [Buffer];
  const address = `127.0.0.1:${/port (\d+)/u.exec(line.toString())?.[1]}`;
  const delta = deltaStream(address);
  const perType = sotwStream(address, {}, ClusterDiscoveryService.method.streamClusters);
  t.teardown(() => delta.close());
  t.teardown(() => perType.close());
  delta.send({ typeUrl: CLUSTER_TYPE_URL });
  perType.send({});
  t.is((await delta.next()).resources.length, 2);
  t.is((await perType.next()).resources.length, 2);
  await writeFile(file, clusters({ web: '2' }));
  const change = await delta.next();
  t.deepEqual(
    change.resources.map(({ name }) => name),
    ['web'],
  );
  t.deepEqual(change.removedResources, ['db']);
  t.is((await perType.next()).resources.length, 1);
  server.kill('SIGTERM');
  t.deepEqual(await once(server, 'exit'), [0, null]);
});
