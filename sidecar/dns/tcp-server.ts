import { createServer, type Server, type Socket } from 'node:net';
import { surviveAcceptErrors } from '../../process/accept-errors.ts';
import { bindError } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import {
  TcpConnection,
  type TcpConnectionOptions,
  type TcpConnectionOwner,
  type TcpTimeouts,
} from './tcp-connection.ts';

const LISTENER = 'the DNS proxy (TCP)';

export interface TcpLimits extends TcpTimeouts {
  /** As many as one workload may need at once; where there are more, those that rest longest are closed. */
  readonly mostConnections: number;
  /** What is held for all of them together; where that is more, the one for which most is held is closed. */
  readonly mostBytes: number;
}

const LIMITS: TcpLimits = { mostConnections: 512, mostBytes: 16 << 20, idleMs: 10_000, unreadMs: 10_000 };

export interface TcpServerOptions extends TcpConnectionOptions {
  readonly limits?: Partial<TcpLimits> | undefined;
  readonly log?: Logger | undefined;
}

/** Answers what comes by TCP: messages with their length before them, as many on a connection as its client likes. */
export class TcpServer implements TcpConnectionOwner {
  readonly #options: TcpServerOptions;
  readonly #limits: TcpLimits;
  /** Those that rest longest come first. */
  readonly #connections = new Set<TcpConnection>();
  readonly #servers: Server[] = [];
  #heldBytes = 0;

  constructor(options: TcpServerOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get timeouts(): TcpTimeouts {
    return this.#limits;
  }

  /** Rejects with a StartupError. */
  listen(host: string, port: number): Promise<void> {
    // A client that sends no more still reads.
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => reject(bindError(LISTENER, host, port, error));
      server.once('error', fail);
      server.listen({ host, port, ipv6Only: true }, () => {
        server.off('error', fail);
        surviveAcceptErrors(server, LISTENER, this.#options.log);
        resolve();
      });
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const connection of this.#connections) connection.close();
  }

  moved(connection: TcpConnection): void {
    if (this.#connections.delete(connection)) this.#connections.add(connection);
  }

  holds(more: number): void {
    this.#heldBytes += more;
    if (more <= 0 || this.#heldBytes <= this.#limits.mostBytes) return;
    let most: TcpConnection | undefined;
    for (const each of this.#connections) if (each.heldBytes > (most?.heldBytes ?? 0)) most = each;
    most?.turnAway();
  }

  closed(connection: TcpConnection): void {
    this.#connections.delete(connection);
  }

  #accept(socket: Socket): void {
    // What went wrong on it is told by its end.
    socket.on('error', () => socket.destroy());
    if (this.#connections.size >= this.#limits.mostConnections) {
      const [longestResting] = this.#connections;
      longestResting?.turnAway();
    }
    this.#connections.add(new TcpConnection(socket, this.#options, this));
  }
}
