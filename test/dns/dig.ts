import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Dug {
  readonly status: string;
  readonly flags: readonly string[];
  /** `name type data`, sorted. */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  readonly ttls: readonly number[];
  readonly text: string;
}

/** dig at some place, which asks some server. */
export interface Digger {
  /** As dig wants them: `@10.96.0.10`. */
  readonly server: readonly string[];
  /** Resolves with what it printed when its input is this. */
  readonly run: (args: readonly string[], input: string) => Promise<string>;
}

/** What dig makes of the answer of a server on 127.0.0.1. Rejects where there is none, or none that it can read. */
export async function dig(port: number, ...args: readonly string[]): Promise<Dug> {
  const [dug] = await digAll(diggerHere(port), [args]);
  if (dug === undefined) throw new Error(`dig ${args.join(' ')}: no answer`);
  return dug;
}

/** Asks a server on 127.0.0.1. */
export function diggerHere(port: number): Digger {
  return { server: ['@127.0.0.1', '-p', String(port)], run: runHere };
}

async function runHere(args: readonly string[], input: string): Promise<string> {
  const running = promisify(execFile)('dig', args, { maxBuffer: 1 << 28 });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** One answer to each, in their order. Rejects where one is missing. */
export async function digAll(
  { server, run }: Digger,
  questions: readonly (readonly string[])[],
): Promise<readonly Dug[]> {
  const lines = questions.map((words) => [...words, ...server, '+tries=1', '+time=5', '+ttlid'].join(' '));
  const stdout = await run(['-f', '-'], `${lines.join('\n')}\n`);
  const answers = stdout
    .split(/;; Got answer:$/mu)
    .slice(1)
    .map(read);
  if (answers.length === questions.length) return answers;
  throw new Error(`dig: ${answers.length} answers to ${questions.length} questions:\n${stdout}`);
}

function read(stdout: string): Dug {
  const section = (name: string) => linesOf(stdout, name).map((line) => line.split(/\s+/u));
  const shown = (name: string) =>
    section(name)
      .map(([owner, , , type, ...data]) => [owner, type, ...data].join(' '))
      .toSorted();
  return {
    status: /status: (\w+)/u.exec(stdout)?.[1] ?? 'none',
    flags: (/flags: ([\w ]*);/u.exec(stdout)?.[1] ?? '').split(' '),
    answer: shown('ANSWER'),
    authority: shown('AUTHORITY'),
    additional: shown('ADDITIONAL'),
    ttls: section('ANSWER').map(([, ttl]) => Number(ttl)),
    text: stdout,
  };
}

function linesOf(output: string, name: string): readonly string[] {
  const lines = output.split('\n');
  const start = lines.indexOf(`;; ${name} SECTION:`);
  if (start < 0) return [];
  const end = lines.indexOf('', start);
  return lines.slice(start + 1, end).filter((line) => !line.startsWith(';'));
}
