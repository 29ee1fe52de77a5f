import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

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

/** What dig makes of a server's answer. Rejects where there is none, or none that it can read. */
export async function dig(port: number, ...args: readonly string[]): Promise<Dug> {
  const [dug] = await digAll(port, [args]);
  if (dug === undefined) throw new Error(`dig ${args.join(' ')}: no answer`);
  return dug;
}

/** So many at a time: dig repeats its arguments before the first answer, and cuts what is too long of both. */
const AT_A_TIME = 20;

/** One answer to each, in their order. Rejects where one is missing. */
export async function digAll(
  port: number,
  questions: readonly (readonly string[])[],
): Promise<readonly Dug[]> {
  const answers: Dug[] = [];
  for (let first = 0; first < questions.length; first += AT_A_TIME) {
    const group = questions.slice(first, first + AT_A_TIME);
    answers.push(...(await digGroup(port, group)));
  }
  return answers;
}

async function digGroup(port: number, questions: readonly (readonly string[])[]): Promise<readonly Dug[]> {
  const common = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5', '+ttlid'];
  const args = questions.flatMap((question) => [...question, ...common]);
  const { stdout } = await run('dig', args, { maxBuffer: 1 << 28 });
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
