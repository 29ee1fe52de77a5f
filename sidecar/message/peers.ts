import type { SocketAddress } from '../net/socket-address.ts';
import { HeldMemory } from './held-memory.ts';
import { tickMs } from './limits.ts';
import {
  ENDING,
  type Job,
  PeerConnection,
  type PeerOwner,
  type Sent,
  type Unanswered,
} from './peer-connection.ts';

const READ_BUFFER_BYTES = 64 * 1024;

const GIVEN_UP: Unanswered = { kind: 'not-sent', why: ENDING, isOurs: true };

export interface PeersOptions {
  readonly connectTimeoutMs: number;
  /** How long a connection is kept for the next message: well below the time that the other side keeps it. */
  readonly idleTimeoutMs: number;
  /** To each sidecar. */
  readonly maxConnections: number;
  /** To all sidecars together; one that rests gives way to one that is needed. */
  readonly maxAllConnections: number;
  /** Messages that wait for a connection to be free, for each sidecar. */
  readonly maxWaiting: number;
  /** Of its own where it is left out. */
  readonly memory?: HeldMemory;
}

export const DEFAULT_PEERS: PeersOptions = {
  connectTimeoutMs: 1_000,
  idleTimeoutMs: 30_000,
  maxConnections: 64,
  maxAllConnections: 1_000,
  maxWaiting: 20_000,
};

/** Connections to other sidecars, kept for the next message. */
export class Peers {
  readonly options: PeersOptions;
  readonly memory: HeldMemory;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly #peers = new Map<string, Peer>();
  /** Only while there are connections. */
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: PeersOptions) {
    this.options = options;
    this.memory = options.memory ?? new HeldMemory();
  }

  get openConnections(): number {
    return this.#peers.values().reduce((sum, { connections }) => sum + connections.size, 0);
  }

  /** Never rejects. @param deadlineMs by a monotonic clock */
  send(to: SocketAddress & { readonly id: string }, line: Buffer, deadlineMs: number): Promise<Sent> {
    if (this.#isClosed) return Promise.resolve(GIVEN_UP);
    let peer = this.#peers.get(to.id);
    if (peer === undefined) this.#peers.set(to.id, (peer = new Peer(to, this)));
    this.#timer ??= this.#startTimer();
    return new Promise((done) => peer.take({ line, deadlineMs, done }));
  }

  /** Whether one more connection may be opened; makes room where it can. */
  hasRoom(): boolean {
    if (this.openConnections < this.options.maxAllConnections) return true;
    return this.#peers.values().some((peer) => peer.closeIdle());
  }

  /** For good: whoever sends afterwards is told. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  #startTimer(): NodeJS.Timeout {
    const { connectTimeoutMs, idleTimeoutMs } = this.options;
    return setInterval(() => this.#tick(), tickMs(connectTimeoutMs, idleTimeoutMs)).unref();
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const [id, peer] of this.#peers) {
      peer.tick(nowMs);
      if (peer.isUnused) this.#peers.delete(id);
    }
    if (this.#peers.size === 0) this.#stopTimer();
  }
}

/** One other sidecar. */
class Peer implements PeerOwner {
  readonly connections = new Set<PeerConnection>();
  readonly readBuffer: Uint8Array;
  readonly memory: HeldMemory;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly #address: SocketAddress;
  readonly #all: Peers;
  /** The one that was used last is used next: what is not needed grows old. */
  readonly #idle: PeerConnection[] = [];
  #waiting: Job[] = [];

  constructor(address: SocketAddress, all: Peers) {
    this.#address = address;
    this.#all = all;
    this.readBuffer = all.readBuffer;
    this.memory = all.memory;
    this.connectTimeoutMs = all.options.connectTimeoutMs;
    this.idleTimeoutMs = all.options.idleTimeoutMs;
  }

  get isUnused(): boolean {
    return this.connections.size === 0 && this.#waiting.length === 0;
  }

  take(job: Job): void {
    const { maxConnections, maxWaiting } = this.#all.options;
    const idle = this.#idle.pop();
    if (idle !== undefined) idle.send(job);
    else if (this.connections.size < maxConnections && this.#all.hasRoom()) this.#connect(job);
    // Without a connection of its own nobody would ever come to those that wait.
    else if (this.connections.size > 0 && this.#waiting.length < maxWaiting) this.#waiting.push(job);
    else job.done(this.#tooMany());
  }

  /** The one that has rested for longest; whether there was one. */
  closeIdle(): boolean {
    const [oldest] = this.#idle;
    oldest?.close();
    return oldest !== undefined;
  }

  becameIdle(connection: PeerConnection): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(connection);
    else connection.send(next);
  }

  closed(connection: PeerConnection, unreached: Unanswered | undefined): void {
    this.connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    // Those who wait may still try another sidecar.
    if (unreached !== undefined && !this.connections.values().some(({ isOpen }) => isOpen))
      this.#giveUpWaiting(unreached);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#connect(next);
  }

  tick(nowMs: number): void {
    if (this.#waiting.some(({ deadlineMs }) => nowMs >= deadlineMs))
      this.#giveUpWaiting({ kind: 'not-sent', why: 'had no connection free in time', isOurs: true }, nowMs);
    for (const connection of this.connections) connection.tick(nowMs);
  }

  close(): void {
    this.#giveUpWaiting(GIVEN_UP);
    for (const connection of this.connections) connection.close();
  }

  /** Ours where the connections are with others; whoever has all that one sidecar may have is slow itself. */
  #tooMany(): Unanswered {
    const isOurs = this.connections.size < this.#all.options.maxConnections;
    return { kind: 'not-sent', why: 'cannot be given more: too many messages are on their way', isOurs };
  }

  /** @param nowMs spares those that have time left; without it all are given up */
  #giveUpWaiting(sent: Unanswered, nowMs = Number.POSITIVE_INFINITY): void {
    const over = this.#waiting.filter(({ deadlineMs }) => nowMs >= deadlineMs);
    this.#waiting = this.#waiting.filter(({ deadlineMs }) => nowMs < deadlineMs);
    for (const { done } of over) done(sent);
  }

  #connect(job: Job): void {
    this.connections.add(new PeerConnection(this.#address, job, this));
  }
}
