import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from './peer.ts';

export interface ConnectionLimits {
  /** Open at once. */
  readonly total: number;
  /** Of these, from one remote address. */
  readonly perAddress: number;
  /** Which remote addresses have a limit of their own. Default: all but loopback, behind which are many programs. */
  readonly isCounted?: (address: string) => boolean;
}

export interface Connection {
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
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const connection = connections.of(socket);
    if (connection === undefined) return;
    connections.began(connection);
    response.once('close', () => connections.ended(connection));
  });
}

/** Why a connection was refused: its address, or all together, have as many as they may. */
export type ConnectionRefusal = 'address' | 'total';

/** The connections of one listener. */
export class Connections {
  /** How many were refused, and how many idle ones were closed to make room. */
  readonly refused: Record<ConnectionRefusal, number> = { address: 0, total: 0 };
  evicted = 0;
  readonly #limits: ConnectionLimits;
  /** By what tells them apart: a TLS connection's requests name another socket than the one that was accepted. */
  readonly #open = new Map<string, Connection>();
  /** Those without a request, longest so first. */
  readonly #idle = new Set<Connection>();
  readonly #countOf = new Map<string, number>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The connection of a request's socket, which may be another object than the one that was accepted. */
  of(socket: Socket): Connection | undefined {
    return this.#open.get(keyOf(socket));
  }

  /** False: there was no room for it, and it is closed. */
  opened(socket: Socket): boolean {
    const address = socket.remoteAddress;
    const refusal = address === undefined ? 'total' : this.#makeRoom(address);
    if (address === undefined || refusal !== undefined) {
      if (refusal !== undefined) this.refused[refusal] += 1;
      socket.destroy();
      return false;
    }
    const key = keyOf(socket);
    const connection = { socket, address, requests: 0 };
    this.#open.set(key, connection);
    this.#idle.add(connection);
    this.#countOf.set(address, (this.#countOf.get(address) ?? 0) + 1);
    socket.once('close', () => this.#forget(key, connection));
    return true;
  }

  /** A request is under way. */
  began(connection: Connection): void {
    connection.requests += 1;
    this.#idle.delete(connection);
  }

  ended(connection: Connection): void {
    connection.requests -= 1;
    if (connection.requests === 0 && !connection.socket.destroyed) this.#idle.add(connection);
  }

  /** Ends an idle connection where that is needed for one more from there; returns which limit is in the way. */
  #makeRoom(address: string): ConnectionRefusal | undefined {
    const { total, perAddress, isCounted = (remote) => !isLoopback(remote) } = this.#limits;
    if (isCounted(address) && (this.#countOf.get(address) ?? 0) >= perAddress) {
      return this.#end(this.#idleFrom(address)) ? undefined : 'address';
    }
    if (this.#open.size < total) return undefined;
    return this.#end(this.#idle.values().next().value) ? undefined : 'total';
  }

  #idleFrom(address: string): Connection | undefined {
    for (const connection of this.#idle) if (connection.address === address) return connection;
    return undefined;
  }

  #end(connection: Connection | undefined): boolean {
    if (connection === undefined) return false;
    const { socket } = connection;
    this.#forget(keyOf(socket), connection);
    socket.destroy();
    this.evicted += 1;
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
