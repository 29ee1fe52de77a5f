import type { Server } from 'node:net';
import type { Logger } from './log.ts';

const QUIET_MS = 10_000;

/**
 * For a server that listens: a connection that could not be accepted (ENFILE, ENOBUFS, ENOMEM) is logged, and the
 * next one is accepted. Without this, it would end the process. While it goes on, a line each 10 s tells how often.
 */
export function surviveAcceptErrors(server: Server, what: string, logger: Logger | undefined): void {
  let times = 0;
  let quietUntil = Number.NEGATIVE_INFINITY;
  server.on('error', (error) => {
    times += 1;
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + QUIET_MS;
    logger?.warn('A connection could not be accepted', { listener: what, times, error });
    times = 0;
  });
}
