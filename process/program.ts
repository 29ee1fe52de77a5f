import { StartupError } from './listen.ts';

/**
 * Runs a program's start. What a person can cause (mistakes in the configuration, a port that is taken) is
 * told in plain sentences on standard error, and the process ends with exit code 1; anything else is a fault
 * of ours and keeps its stack.
 */
export async function runProgram(
  start: () => Promise<{ readonly problems: readonly string[] }>,
): Promise<void> {
  try {
    const { problems } = await start();
    if (problems.length > 0) fail(problems);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    fail([error.message]);
  }
}

function fail(sentences: readonly string[]): never {
  for (const sentence of sentences) process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
