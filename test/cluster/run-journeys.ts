/**
 * Runs the journeys on the cluster that is up, and prints how long each one took, and the mesh for it:
 *
 *   npm exec -- node test/cluster/run-journeys.ts [files…]
 *
 * Those of journeys/alone take parts of the cluster or of the mesh away, so they run by themselves, one file after
 * another; the others share the cluster, a few files at a time.
 */
import { spawnSync } from 'node:child_process';

/** A pod that starts or ends mostly waits; two cores are enough for this many files. */
const SHARING = 3;

const chosen = process.argv.slice(2);
const isAlone = (file: string): boolean => file.includes('journeys/alone/');
const groups =
  chosen.length === 0
    ? [
        { files: ['test/cluster/journeys/*.test.ts'], concurrency: SHARING },
        { files: ['test/cluster/journeys/alone/*.test.ts'], concurrency: 1 },
      ]
    : [
        { files: chosen.filter((file) => !isAlone(file)), concurrency: SHARING },
        { files: chosen.filter(isAlone), concurrency: 1 },
      ];

for (const { files, concurrency } of groups.filter((group) => group.files.length > 0)) {
  const options = ['--config', 'test/cluster/ava.config.mjs', '--concurrency', String(concurrency)];
  const command = ['test/runner/report-times.ts', ...options, ...files];
  const { status } = spawnSync(process.execPath, command, { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
