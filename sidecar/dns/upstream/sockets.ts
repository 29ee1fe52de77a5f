import type { Datagrams, DatagramSocket } from '../../datagram/socket.ts';
import type { Udp } from '../../datagram/udp.ts';
import type { SocketAddress } from '../../net/socket-address.ts';
import { setUint16, uint16 } from '../protocol.ts';
import { answers, type SentQuery } from './match.ts';

/** A query that is on its way to a server. Its id is written before each time that it is sent. */
export interface Outgoing extends SentQuery {
  /** The bytes are used again at once. */
  answered(answer: Uint8Array): void;
  /** It did not get there. */
  failed(): void;
}

/** Ports that whoever wants to forge an answer has to guess among, besides the id (RFC 5452, 9.2). */
const SOCKETS = 8;
/** Then another port is taken. */
const QUERIES_A_SOCKET = 2048;

/** How to stop waiting for an answer. */
export type Cancel = () => void;

/** Sockets to one server. */
export class ServerSockets {
  readonly #udp: Udp;
  readonly #address: SocketAddress;
  readonly #random: () => number;
  readonly #mismatched: () => void;
  readonly #sockets: (PendingSocket | undefined)[] = Array.from({ length: SOCKETS }, () => undefined);

  /** `random`: 16 bits that nobody can guess. */
  constructor(
    udp: Udp,
    address: SocketAddress,
    { random, mismatched }: { readonly random: () => number; readonly mismatched: () => void },
  ) {
    this.#udp = udp;
    this.#address = address;
    this.#random = random;
    this.#mismatched = mismatched;
  }

  /** Sends it, and waits for the answer until that is called off. An errno's name where there is no socket. */
  send(outgoing: Outgoing): Cancel | string {
    const socket = this.#socketAt(this.#random() % SOCKETS);
    if (typeof socket === 'string') return socket;
    const id = socket.add(outgoing, this.#random);
    return () => socket.forget(id, outgoing);
  }

  close(): void {
    for (const socket of this.#sockets) socket?.close();
    this.#sockets.fill(undefined);
  }

  #socketAt(index: number): PendingSocket | string {
    const socket = this.#sockets[index];
    if (socket !== undefined && !socket.isWornOut) return socket;
    this.#retire(index);
    return this.#open(index);
  }

  #retire(index: number): void {
    const socket = this.#sockets[index];
    this.#sockets[index] = undefined;
    socket?.retire();
  }

  /** They are bound to an address that this machine may have no longer. */
  #retireAll(): void {
    for (let index = 0; index < SOCKETS; index++) this.#retire(index);
  }

  #open(index: number): PendingSocket | string {
    const opened = new PendingSocket({ mismatched: this.#mismatched, stuck: () => this.#retireAll() });
    const result = this.#udp.connect(this.#address, opened);
    if (!result.ok) return result.code;
    opened.socket = result.socket;
    this.#sockets[index] = opened;
    return opened;
  }
}

/** One socket, and which answers are awaited on it. */
class PendingSocket {
  socket: DatagramSocket | undefined;
  readonly #pending = new Map<number, Outgoing>();
  readonly #mismatched: () => void;
  readonly #stuck: () => void;
  #sent = 0;
  #isRetired = false;

  /** `stuck`: it could not send, for whatever reason but that nobody listens there. */
  constructor({ mismatched, stuck }: { readonly mismatched: () => void; readonly stuck: () => void }) {
    this.#mismatched = mismatched;
    this.#stuck = stuck;
  }

  get isWornOut(): boolean {
    return this.#sent >= QUERIES_A_SOCKET;
  }

  add(outgoing: Outgoing, random: () => number): number {
    let id = random();
    // At most as many wait here as are ever sent: there is a free one.
    while (this.#pending.has(id)) id = random();
    this.#pending.set(id, outgoing);
    this.#sent++;
    setUint16(outgoing.bytes, 0, id);
    this.socket?.send(outgoing.bytes);
    return id;
  }

  forget(id: number, outgoing: Outgoing): void {
    if (this.#pending.get(id) === outgoing) this.#pending.delete(id);
    this.#closeWhenDone();
  }

  /** Nothing is sent any more; what is awaited still is. */
  retire(): void {
    this.#isRetired = true;
    this.#closeWhenDone();
  }

  close(): void {
    this.#pending.clear();
    this.socket?.close();
  }

  received(datagrams: Datagrams): void {
    const { data, count } = datagrams;
    for (let index = 0; index < count; index++) {
      this.#take(data.subarray(datagrams.start(index), datagrams.end(index)));
    }
    this.#closeWhenDone();
  }

  /** An ICMP message does not tell which of them it was about: it is as good as true for all. */
  failed(code: string): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    if (code !== 'ECONNREFUSED') this.#stuck();
    for (const outgoing of all) outgoing.failed();
    this.#closeWhenDone();
  }

  #take(answer: Uint8Array): void {
    const id = uint16(answer, 0);
    const outgoing = this.#pending.get(id);
    if (outgoing === undefined || !answers(answer, outgoing)) return this.#mismatched();
    this.#pending.delete(id);
    outgoing.answered(answer);
  }

  #closeWhenDone(): void {
    if (this.#isRetired && this.#pending.size === 0) this.socket?.close();
  }
}
