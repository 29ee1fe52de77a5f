import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { logDirectory, stateDirectory } from './layout.ts';
import { ENVIRONMENT, type Machine } from './machine.ts';
import { childOf, isAlive, markOf, type ProcessMark } from './process-mark.ts';

const POLL_MS = 10;

interface Record {
  readonly machine: string;
  readonly command: readonly string[];
  readonly mark: ProcessMark;
}

/**
 * A program that runs on in a machine when whoever started it has ended; another process finds it again by its
 * name, to stop it and to start it as it was.
 */
export class Daemon {
  readonly machine: Machine;
  readonly name: string;
  readonly #command: readonly string[];
  #mark: ProcessMark | undefined;

  constructor(machine: Machine, name: string, command: readonly string[]) {
    this.machine = machine;
    this.name = name;
    this.#command = command;
  }

  /** The one that was started under that name, running or not. */
  static find(machine: Machine, name: string): Daemon | undefined {
    const record = readRecord(machine, name);
    if (record === undefined) return undefined;
    const daemon = new Daemon(machine, name, record.command);
    daemon.#mark = record.mark;
    return daemon;
  }

  get logPath(): string {
    return join(logDirectory, `${this.machine.name}.${this.name}.log`);
  }

  get isRunning(): boolean {
    return this.#mark !== undefined && isAlive(this.#mark);
  }

  /** Why it ended, in its own words; undefined while it runs. */
  get failure(): string | undefined {
    if (this.isRunning) return undefined;
    const lastLines = readFileSync(this.logPath, 'utf8').split('\n').slice(-15).join('\n');
    return `${this.name} on ${this.machine.name} ended; the end of ${this.logPath}:\n${lastLines}`;
  }

  /**
   * Resolves when the program runs, which says nothing about it being ready.
   *
   * @param descriptors files or sockets that it gets as its descriptors 3, 4, …
   */
  async start(descriptors: readonly number[] = []): Promise<this> {
    if (this.isRunning) return this;
    const log = openSync(this.logPath, 'a');
    const [file, ...args] = this.machine.inside(this.#command);
    const entering = spawn(file!, args, {
      cwd: '/',
      detached: true,
      env: ENVIRONMENT,
      stdio: ['ignore', log, log, ...descriptors],
    });
    entering.on('error', () => {});
    entering.unref();
    closeSync(log);
    const pid = entering.pid === undefined ? undefined : await childOf(entering.pid);
    this.#mark = pid === undefined ? undefined : markOf(pid);
    if (this.#mark === undefined) throw new Error(this.failure);
    const record: Record = { machine: this.machine.name, command: this.#command, mark: this.#mark };
    writeFileSync(recordPath(this.machine, this.name), JSON.stringify(record));
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.#mark!.pid, signal);
  }

  /** Ends it, at once unless another signal is given, and resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(signal);
    while (this.isRunning) await delay(POLL_MS);
  }
}

function recordPath(machine: Machine, name: string): string {
  return join(stateDirectory, `${machine.name}.${name}.daemon.json`);
}

function readRecord(machine: Machine, name: string): Record | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(machine, name), 'utf8')) as Record;
  } catch {
    return undefined;
  }
}
