import { type ChildProcess, spawn } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';

/**
 * Outlives the process whose children it is given, one line with all of them whenever they change, and ends those that
 * are left, with what they have started.
 */
const GUARD = `
end() {
  for child in $(pgrep -P "$1"); do end "$child"; done
  kill -KILL "$1"
}
while read -r line; do children=$line; done
for child in $children; do end "$child"; done
`;

const children = new Set<ChildProcess>();
let guard: ChildProcess | undefined;

/** Whatever ends it. */
export function endChildrenWithThisProcess(): void {
  subscribe('child_process', (message) => {
    const { process: child } = message as { readonly process: ChildProcess };
    // The guard itself is announced while it is being made.
    if (isStarting) return;
    children.add(child);
    child.once('spawn', report).once('exit', () => {
      children.delete(child);
      report();
    });
  });
}

/** The commands of those that have not ended. */
export function liveChildren(): readonly string[] {
  return [...children].filter(({ pid }) => pid !== undefined).map(({ spawnargs }) => spawnargs.join(' '));
}

let isStarting = false;

function report(): void {
  guard ??= startGuard();
  const ids = [...children].flatMap(({ pid }) => pid ?? []);
  guard.stdin?.write(`${ids.join(' ')}\n`);
}

/** In a session of its own: what ends this process from a terminal is not to end it. */
function startGuard(): ChildProcess {
  isStarting = true;
  const started = spawn('sh', ['-c', GUARD], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  isStarting = false;
  started.unref();
  (started.stdin as unknown as { unref(): void }).unref();
  started.stdin?.on('error', () => {});
  return started;
}
