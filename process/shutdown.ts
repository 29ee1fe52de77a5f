import type { Logger } from './log.ts';

/** One step of coming to an end. It resolves when done and observes no deadline of its own. */
export interface ShutdownStep {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

export interface ShutdownOptions {
  readonly steps: readonly ShutdownStep[];
  readonly logger: Logger;
  /** All steps together; what has not ended by then is left behind. */
  readonly timeoutMs: number;
}

/**
 * Runs the steps one after another; one that fails is logged and does not keep the others from running.
 * Resolves with the process's exit code: 0, or 1 when something failed or the time ran out.
 */
export async function shutDown({ steps, logger, timeoutMs }: ShutdownOptions): Promise<number> {
  const timeout = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    logger.error('Shutting down took too long: what is still open is cut', { timeoutMs });
    timeout.resolve(1);
  }, timeoutMs);
  const code = await Promise.race([runSteps(steps, logger), timeout.promise]);
  clearTimeout(timer);
  return code;
}

async function runSteps(steps: readonly ShutdownStep[], logger: Logger): Promise<number> {
  let code = 0;
  for (const step of steps) {
    try {
      await step.run();
    } catch (error) {
      code = 1;
      logger.error('A step of shutting down failed', { step: step.name, error });
    }
  }
  return code;
}

/** One Ctrl-C may arrive several times: from the terminal, and passed on by npm and by a parent process. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Ends the process in an orderly way on SIGTERM or SIGINT; a second signal, later, ends it at once. A
 * program that was started by another over an IPC channel also ends when that one is gone.
 */
export function shutDownOnSignal(options: ShutdownOptions): void {
  let begunAt: number | undefined;
  const begin = (why: string): void => {
    if (begunAt !== undefined) {
      if (performance.now() - begunAt > SAME_SIGNAL_MS) process.exit(1);
      return;
    }
    begunAt = performance.now();
    options.logger.info('Shutting down', { why });
    void shutDown(options).then((code) => process.exit(code));
  };
  process.on('SIGTERM', begin);
  process.on('SIGINT', begin);
  process.on('disconnect', () => begin('the parent process is gone'));
}
