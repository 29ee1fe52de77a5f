import { StartupError } from './listen.ts';
import { type Level, LogLevel, type LogFormat, type Logger, stderrLogger } from './log.ts';
import { describeUnknown, unknownVariables } from './variables.ts';

interface LoggingConfig {
  readonly log: { readonly level: Level; readonly format: LogFormat | 'auto' };
}

interface Problems {
  readonly problems: readonly string[];
}

export interface Program<Config extends LoggingConfig> {
  readonly name: string;
  /** Reads the configuration, with a lookup of environment variables. */
  readonly read: (lookup: (name: string) => string | undefined) => { readonly config: Config } | Problems;
  readonly start: (config: Config, level: LogLevel, logger: Logger) => Promise<void>;
}

/**
 * Runs a program that is set up by the environment. A variable with the prefix of our settings that no program reads
 * is a warning and no error: an older version has to start with the settings of a newer one.
 */
export function runProgram<Config extends LoggingConfig>({
  name,
  read,
  start,
}: Program<Config>): Promise<void> {
  return runStart(async () => {
    const result = read((variable) => process.env[variable]);
    const unknown = unknownVariables(process.env);
    // A misspelt name is often why another setting is missing.
    if ('problems' in result) return { problems: [...result.problems, ...unknown.map(describeUnknown)] };
    const { config } = result;
    const level = new LogLevel(config.log.level);
    const logger = stderrLogger(name, config.log.format, level);
    for (const { name: variable, nearest } of unknown) {
      logger.warn('Ignored a variable that is not a setting of CortexFlow', { variable, nearest });
    }
    await start(config, level, logger);
    return { problems: [] };
  });
}

/**
 * Runs a start. What a person can cause (mistakes in the configuration, a port that is taken) is written in plain
 * sentences on standard error, and the process ends with exit code 1; anything else is a fault of ours and keeps
 * its stack.
 */
export async function runStart(start: () => Promise<Problems>): Promise<void> {
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
