/**
 * Brings the test cluster up or takes it down:
 *
 *   npm exec -- node test/cluster/main.ts up
 *   npm exec -- node test/cluster/main.ts down
 *   npm exec -- node test/cluster/main.ts on node-a|node-b|outside <command…>
 */
import { spawnSync } from 'node:child_process';
import { clusterName, stateDirectory } from './layout.ts';
import { bringUp, takeDown } from './lifecycle.ts';
import { ENVIRONMENT, Machine } from './machine.ts';

const [verb, ...rest] = process.argv.slice(2);

switch (verb) {
  case 'up': {
    const { kubeconfig } = await bringUp();
    process.stdout.write(`The cluster "${clusterName}" is up. It is yours with

  export KUBECONFIG=${kubeconfig}
  kubectl get nodes

A command on a node, or on the nodes' network outside of the cluster:

  npm exec -- node test/cluster/main.ts on node-a|node-b|outside <command…>

Logs: ${stateDirectory}/logs. Gone again: npm run cluster:down
`);
    break;
  }
  case 'down':
    await takeDown();
    break;
  case 'on':
    process.exitCode = on(rest);
    break;
  default:
    process.stderr.write('Say up, down, or on <machine> <command…>\n');
    process.exitCode = 2;
}

function on([name, ...command]: readonly string[]): number {
  const machine = name === undefined ? undefined : Machine.find(name);
  if (machine === undefined || command.length === 0) {
    process.stderr.write(
      'Say which machine (node-a, node-b or outside; the cluster must be up), and a command\n',
    );
    return 2;
  }
  const [file, ...args] = machine.inside(command);
  return spawnSync(file!, args, { env: ENVIRONMENT, stdio: 'inherit' }).status ?? 128;
}
