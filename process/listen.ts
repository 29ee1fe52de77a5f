import type { Server } from 'node:net';

/** Where a listener is bound, for people: `127.0.0.1:80`, `[::1]:80`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Starting failed for a reason that the message tells to whoever started the program; no stack is of use. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

/** What a failed bind means and what to do about it. `what` names the listener: "the admin page". */
export function bindError(
  what: string,
  host: string,
  port: number,
  error: NodeJS.ErrnoException,
): StartupError {
  const at = hostPort(host, port);
  const sentence = {
    EADDRINUSE: `${at} is already taken: stop the program that listens there, or choose another port`,
    EADDRNOTAVAIL: `${host} is not an address of this machine: choose one that is`,
    EACCES: `listening on ${at} is not permitted: choose a port above 1023`,
    ENOTFOUND: `${host} cannot be resolved: give an IP address`,
  }[error.code ?? ''];
  return new StartupError(`Cannot start ${what}: ${sentence ?? `${at}: ${error.message}`}`, { cause: error });
}

/** Listens, and resolves with the port that was bound. Rejects with a StartupError. */
export function listen(server: Server, what: string, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(bindError(what, host, port, error));
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
