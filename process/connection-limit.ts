import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Open at once. */
  readonly total: number;
  /** Of these, from one remote address. */
  readonly perAddress: number;
  /** Which remote addresses have a limit of their own. Default: all but loopback, behind which are many programs. */
  readonly isCounted?: (address: string) => boolean;
}

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  /** Requests that are not answered yet. */
  requests: number;
}

/**
 * Limits the connections of an HTTP or HTTPS server. Where there is no room for a new one, the one that has been
 * without a request for longest makes it, of the same address where that has reached its share: connections that
 * say nothing keep nobody out. Only where a request is under way on each of them, the new one is refused.
 */
export function limitConnections(server: Server, limits: ConnectionLimits): void {
  const connections = new Connections(limits);
  server.on('connection', (socket: Socket) => connections.opened(socket));
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) =>
    connections.asked(socket, response),
  );
}

class Connections {
  readonly #limits: ConnectionLimits;
  /** By what tells them apart: a TLS connection's requests name another socket than the one that was accepted. */
  readonly #open = new Map<string, Connection>();
  /** Those without a request, longest so first. */
  readonly #idle = new Set<Connection>();
  readonly #countOf = new Map<string, number>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  opened(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined || !this.#makeRoom(address)) {
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    const connection = { socket, address, requests: 0 };
    this.#open.set(key, connection);
    this.#idle.add(connection);
    this.#countOf.set(address, (this.#countOf.get(address) ?? 0) + 1);
    socket.once('close', () => this.#forget(key, connection));
  }

  asked(socket: Socket, response: ServerResponse): void {
    const connection = this.#open.get(keyOf(socket));
    if (connection === undefined) return;
    connection.requests += 1;
    this.#idle.delete(connection);
    response.once('close', () => {
      connection.requests -= 1;
      if (connection.requests === 0 && !connection.socket.destroyed) this.#idle.add(connection);
    });
  }

  /** Whether there is room for one more from there. */
  #makeRoom(address: string): boolean {
    const { total, perAddress, isCounted = isNotLoopback } = this.#limits;
    if (isCounted(address) && (this.#countOf.get(address) ?? 0) >= perAddress) {
      return this.#end([...this.#idle].find((connection) => connection.address === address));
    }
    return this.#open.size < total || this.#end(this.#idle.values().next().value);
  }

  #end(connection: Connection | undefined): boolean {
    if (connection === undefined) return false;
    const { socket } = connection;
    this.#forget(keyOf(socket), connection);
    socket.destroy();
    return true;
  }

  #forget(key: string, connection: Connection): void {
    if (this.#open.get(key) !== connection) return;
    this.#open.delete(key);
    this.#idle.delete(connection);
    const { address } = connection;
    const left = (this.#countOf.get(address) ?? 0) - 1;
    if (left > 0) this.#countOf.set(address, left);
    else this.#countOf.delete(address);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function isNotLoopback(address: string): boolean {
  return !/^(?:127\.|::1$|::ffff:127\.)/u.test(address);
}
