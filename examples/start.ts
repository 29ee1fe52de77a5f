/**
 * A small real mesh on loopback: HTTP backends, the control plane on a folder of Kubernetes YAML, and one
 * sidecar in front of whoever calls it. `npm start` runs it; Ctrl-C ends all of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readConfig as readControlPlaneConfig } from '../control-plane/config.ts';
import { hostPort, StartupError } from '../process/listen.ts';
import { startBackends } from './backends.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const environment = {
  CORTEXFLOW_DIRECTORY: 'examples/hello',
  CORTEXFLOW_BOOTSTRAP: 'examples/sidecar.yaml',
  CORTEXFLOW_LOG_FORMAT: 'text',
  ...process.env,
};

function run(program: string): ChildProcess {
  // The IPC channel tells a child that its parent is gone, even when the parent was killed.
  return spawn(process.execPath, [`${program}/main.ts`], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

async function ready(child: ChildProcess, url: string): Promise<void> {
  while (child.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new StartupError('The mesh did not start: the line above says why');
}
