export type Level = 'error' | 'warn' | 'info' | 'debug';
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
