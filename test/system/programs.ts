import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { until, within } from '../until.ts';

/** As many lines of a log as a failure shows. */
const SHOWN_LINES = 10;

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Command {
  /** From the top of the tree. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Programs that each start the next, the last one Node: in a network namespace, as another user. */
  readonly through?: readonly string[];
}

/** One of our programs as a process of its own, as people run it, with its log read line by line. */
export class Program {
  readonly log: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #name: string;
  /** Its output is read to the end, which may be a little after its exit. */
  #isClosed = false;

  constructor({ file, environment, args = [], through = [] }: Command) {
    this.#name = file;
    const [program = '', ...words] = [...through, process.execPath, file, ...args];
    this.#child = spawn(program, words, {
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '', CORTEXFLOW_LOG_FORMAT: 'json', ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const input of [this.#child.stdout!, this.#child.stderr!]) {
      createInterface({ input }).on('line', (line) => this.#take(line));
    }
    this.#child.on('close', () => {
      this.#isClosed = true;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves with the first line, past or coming, for which `matches` holds. */
  async line(matches: (line: LogLine) => boolean): Promise<LogLine> {
    const { found } = await until(
      `a line of ${this.#name} with ${String(matches)}`,
      () => ({ found: this.log.find(matches), log: this.log.slice(-SHOWN_LINES), isClosed: this.#isClosed }),
      ({ found: line, isClosed }) => line !== undefined || isClosed,
    );
    if (found === undefined)
      throw new Error(`${this.#name} ended without that line; it wrote:\n${this.text}`);
    return found;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves with the line that says where the program listens. */
  serving(): Promise<LogLine> {
    return this.line(({ message }) => message === 'Serving');
  }

  get text(): string {
    return this.log.map((line) => JSON.stringify(line)).join('\n');
  }

  /** Ends it and resolves with its exit code, or the signal's name. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    if (!this.#hasEnded) this.#child.kill(signal);
    return this.exited();
  }

  async exited(): Promise<number | string> {
    if (!this.#hasEnded) await within(`the end of ${this.#name}`, once(this.#child, 'exit'));
    return this.#child.exitCode ?? this.#child.signalCode ?? 'unknown';
  }

  #take(line: string): void {
    this.log.push(line.startsWith('{') ? JSON.parse(line) : { level: 'none', message: line });
  }
}

/** Starts a program that ends with the test at the latest. */
export function start(t: ExecutionContext, command: Command): Program {
  const program = new Program(command);
  t.teardown(() => program.end('SIGKILL'));
  return program;
}

/** On free ports of 127.0.0.1, unless the environment says otherwise. */
export function startControlPlane(t: ExecutionContext, environment: Command['environment']): Program {
  const defaults = {
    CORTEXFLOW_XDS_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
  };
  return start(t, { file: 'control-plane/main.ts', environment: { ...defaults, ...environment } });
}

/** Its admin page is on a free port of 127.0.0.1, unless the environment says otherwise. */
export function startSidecar(t: ExecutionContext, environment: Command['environment']): Program {
  const defaults = { CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0' };
  return start(t, { file: 'sidecar/main.ts', environment: { ...defaults, ...environment } });
}

/** Below those that kernels give to who asks for any: 32,768 on Linux, 49,152 elsewhere. */
const CLAIMED_PORTS = { first: 20_000, end: 32_768 };

/**
 * A port that was free a moment ago by TCP and UDP, for what has to come back on the same one. None that anybody is
 * given meanwhile who asks for any: dig even shares such a port with the server that it asks, as both allow it, and
 * hears its own question.
 */
export async function claimPort(): Promise<number> {
  for (;;) {
    const port = randomInt(CLAIMED_PORTS.first, CLAIMED_PORTS.end);
    if (!reserve(port)) continue;
    const [tcp, udp] = [
      createServer().listen(port, '127.0.0.1'),
      createSocket('udp4').bind(port, '127.0.0.1'),
    ];
    const results = await Promise.allSettled([once(tcp, 'listening'), once(udp, 'listening')]);
    await Promise.all([closed(tcp), closed(udp)]);
    if (results.every(({ status }) => status === 'fulfilled')) return port;
  }
}

/** Files that say of a port whose it is. */
const reservations = new Set<string>();

/** For this process, until it ends: others that claim ports run beside it, and may be about to listen there. */
function reserve(port: number): boolean {
  const file = join(tmpdir(), `cortexflow-test-port-${port}`);
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch {
    removeLeftOver(file);
    return false;
  }
  if (reservations.size === 0) process.once('exit', removeReservations);
  reservations.add(file);
  return true;
}

function removeReservations(): void {
  for (const file of reservations) rmSync(file, { force: true });
}

/** Of a process that was killed. */
function removeLeftOver(file: string): void {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid > 0 && !isRunning(pid)) rmSync(file, { force: true });
  } catch {
    // Its process has just ended, and has removed it.
  }
}

/** Whether there is a process with this id, whoever's it is. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Also where it never listened. */
function closed(socket: { close(closed: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve());
    } catch {
      resolve();
    }
  });
}
