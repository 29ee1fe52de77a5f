export const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];
export type Fields = Readonly<Record<string, unknown>>;

/** What every room writes to. Messages are constant sentences; what varies goes into the fields. */
export interface Logger {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  /** Ask first where only building the fields already costs something. */
  isEnabled(level: Level): boolean;
  /** A logger that adds these fields to every line. */
  with(fields: Fields): Logger;
}

export type LogFormat = 'json' | 'text';

export interface LogOptions {
  readonly format: LogFormat;
  /** May change at run time: it is asked at every line. */
  readonly level: () => Level;
  readonly write: (line: string) => void;
  readonly now: () => Date;
}

/** A level that can be changed while the program runs. */
export class LogLevel {
  current: Level;

  constructor(initial: Level) {
    this.current = initial;
  }
}

export function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text);
}

export function createLogger(options: LogOptions, base: Fields = {}): Logger {
  const isEnabled = (level: Level): boolean => LEVELS.indexOf(level) <= LEVELS.indexOf(options.level());
  const render = options.format === 'json' ? jsonLine : textLine;
  const log = (level: Level) => (message: string, fields?: Fields) => {
    if (isEnabled(level)) options.write(render(options.now(), level, message, { ...base, ...fields }));
  };
  return {
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: log('debug'),
    isEnabled,
    with: (fields) => createLogger(options, { ...base, ...fields }),
  };
}

/**
 * Writes to standard error, so that standard output stays free for what a command answers. `auto` is text
 * for a person at a terminal and JSON for everything else.
 */
export function stderrLogger(program: string, format: LogFormat | 'auto', level: LogLevel): Logger {
  const automatic = process.stderr.isTTY ? 'text' : 'json';
  // Whoever read the log may go away before the program does: lines are lost then, and nothing else is.
  process.stderr.on('error', ignore);
  return createLogger(
    {
      format: format === 'auto' ? automatic : format,
      level: () => level.current,
      write: (line) => process.stderr.write(`${line}\n`),
      now: () => new Date(),
    },
    { program },
  );
}

function ignore(): void {}

function jsonLine(time: Date, level: Level, message: string, fields: Fields): string {
  return JSON.stringify({ time: time.toISOString(), level, message, ...fields }, plain);
}

function textLine(time: Date, level: Level, message: string, fields: Fields): string {
  const details = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${textValue(value)}`);
  return [time.toISOString().slice(11, 23), level.toUpperCase().padEnd(5), message, ...details].join(' ');
}

/** Quoted wherever a bare value could be taken for something else, a second line for instance. */
function textValue(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:/@*[\]-]+$/.test(value)) return value;
  return JSON.stringify(value, plain) ?? String(value);
}

/** What was measured is for people to read: 158.0345445737139 ms are 158. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isInteger(value)) return rounded(value);
  return value;
}
