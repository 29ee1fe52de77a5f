import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { binaryPath } from '../binaries.ts';
import { mustRun, run } from '../command.ts';
import { stateDirectory } from '../layout.ts';
import { whyNoCluster } from '../lifecycle.ts';
import type { ProcessMark } from '../process-mark.ts';
import { testThatNeeds } from '../requirement.ts';

// A cluster of its own beside the one that the other journeys share.

const NAME = `journey-${process.pid}`;
const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const state = join(dirname(stateDirectory), NAME);
const missing = whyNoCluster();
const journey = testThatNeeds(missing, test.serial);

test.after.always(async () => {
  if (missing === undefined) await cluster('down');
});

journey(
  'a cluster that lost a node is replaced by a whole one, and down leaves nothing of either',
  async (t) => {
    await cluster('up');
    const { pid } = JSON.parse(readFileSync(join(state, 'node-b.machine.json'), 'utf8')) as ProcessMark;
    process.kill(pid, 'SIGKILL');

    await cluster('up');
    const kubectl = [
      binaryPath('kubectl'),
      `--kubeconfig=${join(state, 'kubeconfig')}`,
      `--cache-dir=${join(state, 'cache')}`,
    ];
    const nodes = await mustRun([
      ...kubectl,
      'wait',
      'nodes',
      '--all',
      '--for=condition=Ready',
      '--timeout=60s',
    ]);
    t.is(nodes.trim().split('\n').length, 2);
    t.true(processesOf(state).length > 0);

    await cluster('down');
    t.deepEqual(processesOf(state), []);
    t.false(existsSync(state));
    t.notRegex(readFileSync('/proc/mounts', 'utf8'), new RegExp(NAME));
    t.is((await run(['find', '/sys/fs/cgroup', '-name', `cortexflow-${NAME}-*`])).stdout, '');
  },
);

function cluster(verb: 'up' | 'down'): Promise<string> {
  return mustRun(['env', `CORTEXFLOW_TEST_CLUSTER=${NAME}`, process.execPath, main, verb]);
}

/** Processes that name the directory on their command line: all of a cluster but what runs in its pods. */
function processesOf(directory: string): readonly string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${directory}/`);
    } catch {
      return false;
    }
  });
}
