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
  const { stdout } = await run('dig', [
    '@127.0.0.1',
    '-p',
    String(port),
    '+tries=1',
    '+time=5',
    '+ttlid',
    ...args,
  ]);
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
