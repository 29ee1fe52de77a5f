/**
 * An application in a network namespace: a process that serves and connects as it is told by the test. It knows
 * nothing of any mesh.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Serve {
  readonly kind: 'name' | 'greeting' | 'echo' | 'digest' | 'source' | 'silent';
  readonly port: number;
  /** All addresses of both families where it is left out. */
  readonly host?: string;
  readonly name?: string;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

const CHUNK = randomBytes(256 * 1024);

const servers = new Map<number, { readonly server: Server; readonly sockets: Set<Socket> }>();
/** With how each ends, whoever asks for that and when. */
const sockets = new Map<number, { readonly socket: Socket; readonly ending: Promise<string> }>();
let opened = 0;

/** What can be asked of it. */
export const verbs = {
  async serve({ kind, port, host, name = '' }: Serve): Promise<number> {
    const open = new Set<Socket>();
    const server =
      kind === 'name'
        ? createHttpServer((request, response) => {
            response.end(`${name} ${request.socket.localAddress} ${request.socket.remoteAddress}\n`);
          })
        : createServer({ allowHalfOpen: true }, (socket) => serveSocket(kind, socket, name));
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) });
    await once(server, 'listening');
    const { port: bound } = server.address() as { port: number };
    servers.set(bound, { server, sockets: open });
    return bound;
  },

  /** Stops listening; open connections are reset where that is asked for. */
  async stop({ port, reset = false }: { readonly port: number; readonly reset?: boolean }): Promise<void> {
    const serving = servers.get(port);
    servers.delete(port);
    serving?.server.close();
    if (reset) for (const socket of serving?.sockets ?? []) socket.resetAndDestroy();
  },

  /** Resets the connections that it has accepted. */
  async resetAll({ port }: { readonly port: number }): Promise<void> {
    for (const socket of servers.get(port)?.sockets ?? []) socket.resetAndDestroy();
  },

  /** Closes the connections that it has accepted, as the end of a process does. */
  async closeAll({ port }: { readonly port: number }): Promise<void> {
    for (const socket of servers.get(port)?.sockets ?? []) socket.destroy();
  },

  async accepted({ port }: { readonly port: number }): Promise<number> {
    return servers.get(port)?.sockets.size ?? 0;
  },

  /** Connects, and says nothing. */
  async open({ host, port, localPort }: Target & { readonly localPort?: number }): Promise<number> {
    const from = localPort === undefined ? {} : { localPort };
    const socket = connect({ host, port, allowHalfOpen: true, ...from });
    await once(socket, 'connect');
    opened += 1;
    sockets.set(opened, { socket, ending: endingOf(socket) });
    return opened;
  },

  /** Sends a text, and resolves with what comes next: bytes, or how it ended. */
  async say({ id, text }: { readonly id: number; readonly text: string }): Promise<string> {
    const { socket, ending } = sockets.get(id)!;
    const answer = new Promise<string>((resolve) => {
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    });
    if (text !== '') socket.write(text);
    return Promise.race([answer, ending]);
  },

  /** How it ends: an errno's name, or `end`. */
  async ending({ id }: { readonly id: number }): Promise<string> {
    const { socket, ending } = sockets.get(id)!;
    socket.resume();
    return ending;
  },

  async reset({ id }: { readonly id: number }): Promise<void> {
    sockets.get(id)?.socket.resetAndDestroy();
  },

  async close({ id }: { readonly id: number }): Promise<void> {
    sockets.get(id)?.socket.destroy();
  },

  /** Sends that much, ends its half, and resolves with whether the answer is the digest of what was sent. */
  async upload({ host, port, bytes }: Target & { readonly bytes: number }): Promise<boolean> {
    const socket = connect({ host, port, allowHalfOpen: true });
    const hash = createHash('sha1');
    for (let sent = 0; sent < bytes; sent += CHUNK.length) {
      hash.update(CHUNK);
      if (!socket.write(CHUNK)) await once(socket, 'drain');
    }
    socket.end();
    return (await textOf(socket)) === hash.digest('hex');
  },

  /** Reads all that comes, to its end; resolves with how much that was and its digest. */
  async download({ host, port }: Target): Promise<string> {
    const hash = createHash('sha1');
    let bytes = 0;
    for await (const chunk of connect({ host, port })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    return `${bytes} ${hash.digest('hex')}`;
  },
};

function endingOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'error'));
    socket.once('end', () => resolve('end'));
  });
}

function serveSocket(kind: Serve['kind'], socket: Socket, name: string): void {
  switch (kind) {
    case 'greeting':
      socket.write(`220 ${name} ready\n`);
      socket.on('data', (chunk: Buffer) => socket.write(`250 ${chunk.toString()}`));
      socket.on('end', () => socket.end('221 bye\n'));
      break;
    case 'echo':
      socket.pipe(socket);
      break;
    case 'digest':
      void digestOf(socket).then((digest) => socket.end(digest));
      break;
    case 'source':
      void pour(socket, Number(name));
      break;
    default:
      socket.resume();
  }
}

async function digestOf(socket: Socket): Promise<string> {
  const hash = createHash('sha1');
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** So many bytes, and their digest as the last forty. */
async function pour(socket: Socket, bytes: number): Promise<void> {
  const hash = createHash('sha1');
  for (let sent = 0; sent < bytes; sent += CHUNK.length) {
    hash.update(CHUNK);
    if (!socket.write(CHUNK)) await once(socket, 'drain');
  }
  socket.end(hash.digest('hex'));
}

async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export type Verbs = typeof verbs;

export interface Call {
  readonly id: number;
  readonly verb: keyof Verbs;
  readonly argument: never;
}

process.on('message', ({ id, verb, argument }: Call) => {
  void verbs[verb](argument).then(
    (result) => process.send?.({ id, result }),
    (error: unknown) => process.send?.({ id, error: (error as NodeJS.ErrnoException).code ?? String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
