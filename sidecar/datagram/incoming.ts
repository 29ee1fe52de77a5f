import type { SocketAddress } from '../net/socket-address.ts';
import { readSockaddr, SOCKADDR_BYTES, sockaddrLength, writeSockaddr } from '../net/sockaddr.ts';
import { type AddressOf, MessageHeaders, type Range, type Slots } from './message-headers.ts';
import { type Datagrams, Peer } from './socket.ts';

/** Family, port and address of a `sockaddr_in`; all of a `sockaddr_in6`. */
const IPV4_KEY_BYTES = 8;
const IPV4_LENGTH = 16;

/** What is being received: one datagram from Node, and what else waited, from the kernel. */
export class Incoming implements Datagrams {
  readonly messages: MessageHeaders;
  count = 0;
  readonly #names: Buffer;

  constructor(slots: Slots, addressOf: AddressOf) {
    this.messages = new MessageHeaders(slots, addressOf);
    const { buffer, byteOffset, byteLength } = this.messages.names;
    this.#names = Buffer.from(buffer, byteOffset, byteLength);
  }

  get data(): Uint8Array {
    return this.messages.data;
  }

  start(index: number): number {
    return index * this.messages.slots.bytes;
  }

  end(index: number): number {
    return index * this.messages.slots.bytes + this.messages.lengthOf(index);
  }

  isSamePeer(index: number, other: number): boolean {
    const names = this.#names;
    const [at, otherAt] = [index * SOCKADDR_BYTES, other * SOCKADDR_BYTES];
    const length = sockaddrLength(names, at) === IPV4_LENGTH ? IPV4_KEY_BYTES : SOCKADDR_BYTES;
    for (let byte = 0; byte < length; byte++) {
      if (names[at + byte] !== names[otherAt + byte]) return false;
    }
    return true;
  }

  peerKey(index: number): string {
    const at = index * SOCKADDR_BYTES;
    const length = sockaddrLength(this.#names, at);
    return this.#names.toString('latin1', at, at + (length === IPV4_LENGTH ? IPV4_KEY_BYTES : length));
  }

  peer(index: number): Peer {
    return new Peer(this.sockaddr(index).slice());
  }

  peerAddress(index: number): SocketAddress {
    return readSockaddr(this.#names, index * SOCKADDR_BYTES);
  }

  /** Of a datagram's sender. */
  sockaddr(index: number): Uint8Array {
    const at = index * SOCKADDR_BYTES;
    return this.messages.names.subarray(at, at + sockaddrLength(this.#names, at));
  }

  /** Makes room for more after those that are there, and tells for how many. */
  prepare(): number {
    const { count } = this.messages.slots;
    for (let slot = this.count; slot < count; slot++) this.messages.empty(slot);
    return count - this.count;
  }

  /** Who these are to be sent on to: a peer, or where the socket is connected. */
  address({ first, end }: Range, to: Peer | undefined): void {
    const length = to?.sockaddr.length ?? 0;
    for (let slot = first; slot < end; slot++) {
      if (to !== undefined) this.messages.names.set(to.sockaddr, slot * SOCKADDR_BYTES);
      this.messages.fill(slot, this.messages.lengthOf(slot), length);
    }
  }

  /** The first one, as Node tells it. */
  take(bytes: Uint8Array, from: SocketAddress): void {
    this.messages.data.set(bytes, 0);
    this.messages.setLength(0, bytes.length);
    writeSockaddr(this.messages.names, 0, from);
    this.count = 1;
  }
}
