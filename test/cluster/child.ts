import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A program that never outlives the one that started it: the kernel ends it, however that one ends. */
export class Child {
  readonly #name: string;
  readonly #logPath: string;
  readonly #process: ChildProcess;

  /** What it writes is appended to `<directory>/<name>.log`. */
  constructor(name: string, argv: readonly string[], directory: string) {
    this.#name = name;
    this.#logPath = `${directory}/${name}.log`;
    const log = openSync(this.#logPath, 'a');
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
      cwd: directory,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    // Nobody may be waiting when setpriv is missing: `failure` tells.
    this.#process.on('error', () => {});
  }

  /** Why it is not running, with the end of its log; undefined while it is. */
  get failure(): string | undefined {
    if (this.#process.pid === undefined)
      return `${this.#name}: setpriv is missing (Debian package util-linux)`;
    if (this.#running) return undefined;
    const end = this.#process.exitCode ?? this.#process.signalCode;
    const lastLines = readFileSync(this.#logPath, 'utf8').split('\n').slice(-15).join('\n');
    return `${this.#name} ended (${end}); the end of ${this.#logPath}:\n${lastLines}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Asks it to end, and resolves when it is gone. */
  async end(): Promise<void> {
    if (!this.#running) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await exit;
  }

  /** Ends it at once, as a power failure would, and resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#running) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  get #running(): boolean {
    return (
      this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }
}
