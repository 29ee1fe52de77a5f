import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Destination, Routes } from '../services/decision.ts';
import { BufferPool } from '../net/buffer-pool.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { ConnectTimes } from './counters.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { type Origin, type TrafficDirection, UPSTREAM } from './origin.ts';
import { isListenedAt } from '../net/own-address.ts';
import type { ServiceUse } from './service-use.ts';
import { isGone, ServiceUses } from './service-uses.ts';
import { WriteCoalescer } from '../net/write-coalescer.ts';
import { RateLimitedLog } from '../../process/rate-limited-log.ts';
import type { ListenAddress, SocketAddress } from '../net/socket-address.ts';
import { type Acceptor, listenTcp, type TcpListener, type TcpStream } from '../net/tcp.ts';

/** Where connections come from and how to tell where they want to go. */
export interface Listener {
  /** For messages to people, as `Upstream demo/hello:80`. */
  readonly name: string;
  /** An IP address to listen on; port 0 lets the kernel choose. */
  readonly address: ListenAddress;
  /** What its connections have in common; those of an upstream where it is left out. */
  readonly origin?: Origin;
  destinationOf(client: TcpStream): Destination;
  /** Who talks with those that connect to the listener itself; where it is left out they are refused. */
  readonly takeDirect?: (client: TcpStream) => void;
}

export type Listening =
  | { readonly ok: true; readonly address: SocketAddress; close(): void }
  /** `message` says which listener, what is wrong and what to do. */
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface ForwarderOptions {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly log: Logger;
  readonly limits?: Partial<Limits>;
}

/** Connections are looked after this many times within the shortest of their time limits. */
const TICKS_PER_LIMIT = 8;
const LONGEST_TICK_MS = 1_000;

/** Accepts connections and carries each to an endpoint of its Service. */
export class Forwarder implements ConnectionHost {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly pool = new BufferPool();
  readonly coalescer = new WriteCoalescer();
  readonly limits: Limits;
  readonly connectTimes = { outbound: new ConnectTimes(), inbound: new ConnectTimes() };
  readonly log: Logger;
  readonly #listeners = new Map<TcpListener, Origin>();
  readonly #connections = new Set<Connection>();
  readonly #open: Record<TrafficDirection, number> = { outbound: 0, inbound: 0 };
  readonly #services = new ServiceUses();
  readonly #timer: NodeJS.Timeout;
  #isDraining = false;
  #allEnded: PromiseWithResolvers<void> | undefined;

  constructor({ routes, balancer, log, limits = {} }: ForwarderOptions) {
    this.routes = routes;
    this.balancer = balancer;
    this.log = log;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    const shortest = Math.min(this.limits.connectTimeoutMs, this.limits.idleTimeoutMs);
    this.#timer = setInterval(() => this.#tick(), Math.min(LONGEST_TICK_MS, shortest / TICKS_PER_LIMIT));
    this.#timer.unref();
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get services(): Iterable<ServiceUse> {
    return this.#services;
  }

  listen(listener: Listener): Listening {
    const result = listenTcp(listener.address, this.#acceptorOf(listener));
    if (!result.ok) return { ...result, message: explain(listener, result.code) };
    const socket = result.listener;
    this.#listeners.set(socket, listener.origin ?? UPSTREAM);
    const close = (): void => {
      if (this.#listeners.delete(socket)) socket.close();
    };
    return { ok: true, address: socket.address, close };
  }

  /**
   * Accepts nothing more but what outlives that, waits until no connection is open, up to the limit, and resets
   * what is left.
   */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    this.#closeListeners(({ outlivesDrain }) => !outlivesDrain);
    if (this.#connections.size > 0) await this.#lastConnection(limitMs);
    this.#closeListeners(() => true);
    clearInterval(this.#timer);
    for (const service of this.#services) service.release();
  }

  /**
   * Resets every open connection, at once and without waiting for anything: for a process that is about to
   * exit. The kernel would close what is left with a FIN, which tells a peer that it has received everything.
   */
  abortAll(): void {
    for (const connection of this.#connections) connection.abort('drained');
  }

  serviceUse(name: string, direction: TrafficDirection = 'outbound'): ServiceUse {
    return this.#services.of(direction, name);
  }

  isOwn(address: SocketAddress): boolean {
    return isListenedAt(
      address,
      this.#listeners.keys().map((listener) => listener.address),
    );
  }

  ended(connection: Connection): void {
    // One that was refused was none of them.
    if (this.#connections.delete(connection)) this.#open[connection.direction]--;
    if (this.#connections.size === 0) this.#allEnded?.resolve();
  }

  #acceptorOf(listener: Listener): Acceptor {
    const warnings = new RateLimitedLog();
    const { origin = UPSTREAM } = listener;
    return {
      accepted: (client) => {
        const destination = listener.destinationOf(client);
        if (destination.kind === 'listener' && listener.takeDirect !== undefined) {
          listener.takeDirect(client);
          return;
        }
        const connection = new Connection(client, destination, origin, this);
        const { maxConnections } = this.limits;
        if (this.#open[origin.direction] < maxConnections) {
          this.#connections.add(connection);
          this.#open[origin.direction]++;
          connection.start();
        } else {
          const detail = `${maxConnections} ${origin.direction} connections are open, the most allowed (limits.maxConnections).`;
          connection.refuse('too-many-connections', detail);
        }
      },
      acceptFailed: (code) => {
        const fields = { listener: listener.name };
        warnings.warn(this.log, { message: 'Could not accept a connection.', reason: code, fields });
      },
    };
  }

  #closeListeners(closes: (origin: Origin) => boolean): void {
    for (const [listener, origin] of this.#listeners) {
      if (!closes(origin)) continue;
      listener.close();
      this.#listeners.delete(listener);
    }
  }

  async #lastConnection(limitMs: number): Promise<void> {
    const limit = setTimeout(() => this.abortAll(), limitMs);
    this.#allEnded ??= Promise.withResolvers();
    await this.#allEnded.promise;
    clearTimeout(limit);
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.tick(nowMs);
    for (const service of this.#services) {
      // Looked for here and not as each connection ends: one lease serves many short connections in a row.
      if (service.isUnused()) service.release();
    }
    this.#services.sweep(
      nowMs,
      (service) => this.balancer.forget(service.name, nowMs) && isGone(service, this.routes),
    );
  }
}

function explain({ name, address }: Listener, code: string): string {
  const where = `${address.address} port ${address.port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${name}: ${where} is taken by another program. Stop it or choose another port.`;
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `${name}: ${address.address} is not an address of this machine. Use one that is, as 127.0.0.1.`;
    case 'EACCES':
      return `${name}: listening on ${where} needs a privilege. Choose a port above 1023.`;
    default:
      return `${name}: cannot listen on ${where} (${code}).`;
  }
}
