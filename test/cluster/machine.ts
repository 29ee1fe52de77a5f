import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun, type Output, run } from './command.ts';
import { logDirectory, stateDirectory } from './layout.ts';
import { childOf, isAlive, type ProcessMark, markOf } from './process-mark.ts';

const POLL_MS = 10;

/** For programs inside a machine: nothing of whoever brings the cluster up. */
export const ENVIRONMENT = {
  HOME: '/root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

/**
 * A machine made of namespaces: processes, mounts, network, host name and IPC of its own over the files of
 * this one. When its first process ends, the kernel ends all others and takes its mounts and network away.
 */
export class Machine {
  readonly name: string;
  readonly #init: ProcessMark;

  private constructor(name: string, init: ProcessMark) {
    this.name = name;
    this.#init = init;
  }

  /** @param init path of a program that reaps orphans and otherwise does nothing */
  static async boot(name: string, init: string): Promise<Machine> {
    mkdirSync(logDirectory, { recursive: true });
    const logPath = join(logDirectory, `${name}.log`);
    const log = openSync(logPath, 'w');
    // Mounts made here later, by whomever, arrive there and can be taken away; none arrives here from there.
    const namespaces = ['--mount', '--propagation=slave', '--net', '--uts', '--ipc', '--pid', '--mount-proc'];
    const outer = spawn('unshare', ['--fork', ...namespaces, init], {
      detached: true,
      env: ENVIRONMENT,
      stdio: ['ignore', log, log],
    });
    outer.on('error', () => {});
    outer.unref();
    closeSync(log);
    const pid = outer.pid === undefined ? undefined : await childOf(outer.pid);
    if (pid === undefined)
      throw new Error(
        `The machine ${name} cannot be made (that takes root); unshare says: ${readFileSync(logPath, 'utf8')}`,
      );
    const mark = markOf(pid)!;
    writeFileSync(recordPath(name), JSON.stringify(mark));
    const machine = new Machine(name, mark);
    await machine.mustRun(['mount', '--make-rshared', '/']);
    await machine.mustRun(['hostname', name]);
    return machine;
  }

  /** The one that is running under that name. */
  static find(name: string): Machine | undefined {
    const mark = readMark(name);
    return mark !== undefined && isAlive(mark) ? new Machine(name, mark) : undefined;
  }

  /** As the kernel of this machine counts. */
  get pid(): number {
    return this.#init.pid;
  }

  get isRunning(): boolean {
    return isAlive(this.#init);
  }

  /** The command line that runs a command in there. */
  inside(command: readonly string[]): readonly string[] {
    const namespaces = ['--mount', '--net', '--uts', '--ipc', '--pid'];
    return ['nsenter', '--target', String(this.pid), ...namespaces, '--', ...command];
  }

  /** As inside(), but of the machine's only its network: processes and files are those out here. */
  onNetwork(command: readonly string[]): readonly string[] {
    return ['nsenter', '--target', String(this.pid), '--net', '--', ...command];
  }

  /** Runs a command in there; any exit code resolves. */
  run(command: readonly string[], stdin = '', limits: { readonly withinMs?: number } = {}): Promise<Output> {
    return run(this.inside(command), stdin, limits);
  }

  /** As run(), but anything but success rejects with what the command complained of. */
  async mustRun(command: readonly string[], stdin = ''): Promise<string> {
    return mustRun(this.inside(command), stdin);
  }

  /** Pulls the plug. */
  async halt(): Promise<void> {
    if (this.isRunning) process.kill(this.pid, 'SIGKILL');
    while (this.isRunning) await delay(POLL_MS);
    rmSync(recordPath(this.name), { force: true });
  }
}

function recordPath(name: string): string {
  return join(stateDirectory, `${name}.machine.json`);
}

function readMark(name: string): ProcessMark | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(name), 'utf8')) as ProcessMark;
  } catch {
    return undefined;
  }
}
