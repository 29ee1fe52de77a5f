/**
 * Runs the journeys on the cluster that is up, and prints how long each one took, and the mesh for it:
 *
 *   npm exec -- node test/cluster/run-journeys.ts [files…]
 *
 * Those of journeys/alone take parts of the cluster or of the mesh away, so they run by themselves, one file after
 * another; the others share the cluster and one mesh, a few files at a time.
 */
import { spawnSync } from 'node:child_process';
import { Cluster } from './cluster.ts';
import { INSTALLED_VARIABLE, installMesh } from './journey/mesh.ts';

/** A pod that starts or ends mostly waits; two cores are enough for this many files. */
const SHARING = 3;

const chosen = process.argv.slice(2);
const isAlone = (file: string): boolean => file.includes('journeys/alone/');
const all = chosen.length === 0;
const sharing = all ? ['test/cluster/journeys/*.test.ts'] : chosen.filter((file) => !isAlone(file));
const alone = all ? ['test/cluster/journeys/alone/*.test.ts'] : chosen.filter(isAlone);

if (sharing.length > 0) {
  const cluster = Cluster.find();
  if (cluster) await installMesh(cluster);
  run(sharing, SHARING, { [INSTALLED_VARIABLE]: cluster && 'default' });
}
if (alone.length > 0) run(alone, 1, {});

function run(files: readonly string[], concurrency: number, environment: NodeJS.ProcessEnv): void {
  const options = ['--config', 'test/cluster/ava.config.mjs', '--concurrency', String(concurrency)];
  const { status } = spawnSync(process.execPath, ['test/runner/report-times.ts', ...options, ...files], {
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  if (status !== 0) process.exitCode = 1;
}
