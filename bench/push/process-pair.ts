import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What can be asked of a process of the benchmark: a JSON line in, a JSON line out, in order. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** Answers commands from standard input until it ends, and then leaves: no process outlives the run. */
export function answerCommands(commands: Commands): void {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  let previous: Promise<unknown> = Promise.resolve();
  lines.on('line', (line) => {
    const { command, argument } = JSON.parse(line) as { command: string; argument: never };
    const answer = async () => {
      await previous;
      const result = await commands[command]!(argument);
      process.stdout.write(`${JSON.stringify(result ?? null)}\n`);
    };
    previous = answer().catch((error: unknown) => {
      console.error(`${process.argv[1]}: ${command}:`, error);
      process.exit(1);
    });
  });
}

/** The asking end. */
export class Peer {
  readonly #child: ChildProcess;
  #ended: Error | undefined;
  readonly #waiting: { resolve: (value: never) => void; reject: (error: Error) => void }[] = [];

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#waiting.shift()?.resolve(JSON.parse(line) as never);
    });
    child.once('error', (error) => this.#fail(error));
    // Its exit says more than that it doesn't listen any more.
    child.stdin!.on('error', () => {});
    child.once('exit', (code, signal) =>
      this.#fail(new Error(`${name} ended (${signal ?? code}), see above`)),
    );
  }

  static start(command: string, ...args: string[]): Peer {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    return new Peer(child, [command, ...args].join(' '));
  }

  static startNode(script: string, ...flags: string[]): Peer {
    return Peer.start(process.execPath, '--expose-gc', ...flags, script);
  }

  ask<Answer>(command: string, argument: object = {}): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin!.write(`${JSON.stringify({ command, argument })}\n`);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    await ended;
  }

  #fail(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
