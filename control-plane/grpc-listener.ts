import { logVerbosity, type Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import type { Address } from '../process/environment.ts';
import { bindError, hostPort } from '../process/listen.ts';

// grpc-js would write lines of its own for what is told here in a sentence.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

/** Listens, and resolves with the port that was bound. Rejects with a StartupError. */
export function listenGrpc(server: Server, what: string, { host, port }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(hostPort(host, port), ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(bindError(what, host, port, Object.assign(error, { code: systemCode(error) })));
      else resolve(bound);
    });
  });
}

/** grpc-js tells the cause of a failed bind in its message only. */
function systemCode({ message }: Error): string {
  if (message.startsWith('Name resolution failed')) return 'ENOTFOUND';
  return /listen (E\w+)/.exec(message)?.[1] ?? '';
}
