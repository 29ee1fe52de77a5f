import type { SocketAddress } from '../net/socket-address.ts';
import type { Range } from './message-headers.ts';

/** Where a datagram came from and an answer goes to: a `sockaddr`. */
export class Peer {
  readonly sockaddr: Uint8Array;

  constructor(sockaddr: Uint8Array) {
    this.sockaddr = sockaddr;
  }
}

/**
 * What a socket received in one go: one datagram or some. Valid only while `received` runs: the memory is used
 * again. Indexes are from 0 to `count` - 1.
 */
export interface Datagrams {
  readonly count: number;
  /** In which all of them are. */
  readonly data: Uint8Array;
  /** Where one begins and ends in `data`. */
  start(index: number): number;
  end(index: number): number;
  /** Whether two of them came from the same peer. */
  isSamePeer(index: number, other: number): boolean;
  /** The same text for the same peer, and for no other. Not for people. */
  peerKey(index: number): string;
  /** A copy that outlives this. */
  peer(index: number): Peer;
  peerAddress(index: number): SocketAddress;
}

/** Who hears of what one socket receives. */
export interface DatagramReceiver {
  received(datagrams: Datagrams, socket: DatagramSocket): void;
  /**
   * An errno's name: ECONNREFUSED and the like where the peer of a connected socket sent an ICMP error. Told after
   * what had come before it was received, and never while anything is received or sent.
   */
  failed(code: string): void;
}

/**
 * One UDP socket. What is sent while `received` runs leaves together at its end, and otherwise at the end of the
 * current turn at the latest; in order. Nothing is ever merged or split. What the kernel has no room for is lost,
 * as UDP has it, and counted.
 */
export interface DatagramSocket {
  /** Where it is bound. */
  readonly address: SocketAddress;
  /** Datagrams that could not be sent. */
  readonly droppedCount: number;
  /** Answers the sender of a datagram that is being received. The bytes may be used again at once. */
  reply(index: number, bytes: Uint8Array): void;
  /** To a peer; left out where the socket is connected. The bytes may be used again at once. */
  send(bytes: Uint8Array, to?: Peer): void;
  /**
   * Sends on what is being received, by whichever socket: these datagrams, without a copy. Whoever they came from is
   * forgotten where a peer is given.
   */
  forward(range: Range, to?: Peer): void;
  close(): void;
}

/** A socket, or why there is none. */
export type OpenedSocket =
  | { readonly ok: true; readonly socket: DatagramSocket }
  /** An errno's name. */
  | { readonly ok: false; readonly code: string };
