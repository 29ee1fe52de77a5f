import { SOCKADDR_BYTES } from '../net/sockaddr.ts';
import { type AddressOf, MessageHeaders, type Range, type Slots } from './message-headers.ts';
import { AGAIN } from './system-calls.ts';

const NOWHERE = new Uint8Array(0);

/** A socket for which datagrams wait to be sent together. */
export interface Sender {
  /** How many of them the kernel has taken, or a negative errno of the first. */
  sendMany(messages: MessageHeaders, range: Range): number;
  /**
   * An error of the socket, as a negative errno; maybe of an earlier datagram, of which an ICMP message told. Nothing
   * is sent in turn before all of these are.
   */
  failed(errno: number): void;
  /** One datagram could not be sent. */
  dropped(): void;
}

/** What one socket is about to send. All sockets share it: another one's turn sends what waits. */
export class Outgoing {
  readonly #messages: MessageHeaders;
  #sender: Sender | undefined;
  #count = 0;

  constructor(slots: Slots, addressOf: AddressOf) {
    this.#messages = new MessageHeaders(slots, addressOf);
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** To a `sockaddr`, or to where the socket is connected. */
  add(sender: Sender, bytes: Uint8Array, sockaddr: Uint8Array = NOWHERE): void {
    const { slots } = this.#messages;
    if (this.#sender !== sender || this.#count === slots.count) this.flush();
    this.#sender = sender;
    const slot = this.#count++;
    this.#messages.data.set(bytes, slot * slots.bytes);
    this.#messages.names.set(sockaddr, slot * SOCKADDR_BYTES);
    this.#messages.fill(slot, bytes.length, sockaddr.length);
    this.#messages.setLength(slot, bytes.length);
  }

  flush(): void {
    const [sender, count] = [this.#sender, this.#count];
    this.#sender = undefined;
    this.#count = 0;
    if (sender !== undefined) sendAll(sender, this.#messages, { first: 0, end: count });
  }
}

/** Sends these slots, in order; one that cannot be sent does not keep the next from it. */
export function sendAll(sender: Sender, messages: MessageHeaders, { first, end }: Range): void {
  let next = first;
  let failures = 0;
  while (next < end) {
    const sent = sender.sendMany(messages, { first: next, end });
    if (sent > 0) {
      next += sent;
      failures = 0;
      continue;
    }
    if (sent !== AGAIN) sender.failed(sent);
    failures++;
    // The first error may be of an earlier datagram: only if there is one again it is this one's.
    if (sent === AGAIN || failures > 1) {
      sender.dropped();
      next++;
      failures = 0;
    }
  }
}
