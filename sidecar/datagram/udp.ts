/**
 * UDP on Node's own handles, and on the kernel's calls for many datagrams where they can be called. `dgram` takes a
 * system call, an allocation and some objects for each datagram.
 *
 * libuv tells that something has come by handing over the first datagram; what else waits is then taken with one
 * call, and all that is sent in answer leaves with another. The handle, reached by `process.binding`, is no public
 * API. What is relied upon, as of Node 26:
 *
 * - `handle.onmessage(length, handle, bytes, from)` is called for each datagram, an empty one too, and with a negative
 *   errno for an error of the socket; up to 32 times in a turn of the event loop, and not after `handle.recvStop()`.
 * - `handle.send(request, buffers, count, port, address, hasCallback)`, without port and address where the socket is
 *   connected, returns a negative errno, 0 where it will call `request.oncomplete`, or more where it is done.
 *
 * `udp.test.ts` proves each, with and without the kernel's calls.
 */
import { isIPv6 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { ListenAddress, SocketAddress } from '../net/socket-address.ts';
import { binding } from '../native/binding.ts';
import { readSockaddr, SOCKADDR_BYTES } from '../net/sockaddr.ts';
import { Incoming } from './incoming.ts';
import { Outgoing, sendAll, type Sender } from './outgoing.ts';
import type { MessageHeaders, Range } from './message-headers.ts';
import type { DatagramReceiver, DatagramSocket, OpenedSocket, Peer } from './socket.ts';
import { AGAIN, type SystemCalls, systemCalls } from './system-calls.ts';

interface Handle {
  onmessage: (length: number, handle: Handle, bytes: Uint8Array | ArrayBuffer, from: SocketAddress) => void;
  bind(address: string, port: number, flags: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(address: string, port: number): number;
  connect6(address: string, port: number): number;
  recvStart(): number;
  recvStop(): number;
  send(request: object, buffers: readonly Uint8Array[], count: number, ...to: readonly unknown[]): number;
  send6(request: object, buffers: readonly Uint8Array[], count: number, ...to: readonly unknown[]): number;
  getsockname(out: Partial<SocketAddress>): number;
  /** What the kernel keeps for it; `isReceived` of what comes. At most `net.core.rmem_max`, twice. */
  bufferSize(bytes: number, isReceived: boolean, failure: object): number | undefined;
  close(): void;
  readonly fd: number;
}

interface UdpWrap {
  readonly UDP: new () => Handle;
  readonly SendWrap: new () => object;
  readonly constants: { readonly UV_UDP_IPV6ONLY: number };
}

const { UDP, SendWrap, constants } = binding('udp_wrap') as UdpWrap;

/** As many as one system call takes or gives; and as long as a UDP datagram can be. */
const SLOTS = { count: 64, bytes: 65_536 };

/** UDP over IPv4, without options. */
const LONGEST_DATAGRAM = 65_507;

/** What a listener's askers send in one burst, while the process has no turn; as much of it as the kernel grants. */
const LISTENER_BUFFER_BYTES = 4 << 20;

/**
 * After so many datagrams of one socket all others have their turn, those of TCP too. A batch goes through whole, so
 * it is up to one batch more.
 */
const DATAGRAMS_A_TURN = 256;

/** More than a connected socket holds, whose buffer is as large as the kernel makes it. */
const BATCHES_BEFORE_ERROR = 16;

interface Shared {
  readonly calls: SystemCalls | undefined;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  /** Whoever sends while something is received need not arrange that it leaves. */
  isReceiving: boolean;
}

function share(calls: SystemCalls | undefined): Shared {
  const slots = calls === undefined ? { ...SLOTS, count: 1 } : SLOTS;
  const addressOf = calls?.addressOf ?? (() => 0n);
  const [incoming, outgoing] = [new Incoming(slots, addressOf), new Outgoing(slots, addressOf)];
  return { calls, incoming, outgoing, isReceiving: false };
}

/** How datagrams are received and sent: all sockets of one take turns with the same memory. */
export class Udp {
  readonly #calls: SystemCalls | undefined;
  #shared: Shared | undefined;

  /** `calls` undefined: one datagram at a time, as anywhere but on Linux. */
  constructor(calls: SystemCalls | undefined = systemCalls()) {
    this.#calls = calls;
  }

  /** Listens on an IP address; port 0 lets the kernel choose. */
  bind({ address, port, ipv6Only }: ListenAddress, receiver: DatagramReceiver): OpenedSocket {
    const handle = new UDP();
    const flags = ipv6Only ? constants.UV_UDP_IPV6ONLY : 0;
    const error = isIPv6(address) ? handle.bind6(address, port, flags) : handle.bind(address, port, 0);
    if (error === 0) handle.bufferSize(LISTENER_BUFFER_BYTES, true, {});
    return this.#open(handle, error, { receiver, isConnected: false });
  }

  /** From a port that the kernel chooses; nobody but that address is heard. */
  connect({ address, port }: SocketAddress, receiver: DatagramReceiver): OpenedSocket {
    const handle = new UDP();
    const error = isIPv6(address) ? handle.connect6(address, port) : handle.connect(address, port);
    return this.#open(handle, error, { receiver, isConnected: true });
  }

  #open(
    handle: Handle,
    error: number,
    options: { readonly receiver: DatagramReceiver; readonly isConnected: boolean },
  ): OpenedSocket {
    const local: Partial<SocketAddress> = {};
    const failed = error || handle.getsockname(local) || handle.recvStart();
    if (failed !== 0) {
      handle.close();
      return { ok: false, code: getSystemErrorName(failed) };
    }
    // Sockets may never be used: the memory is not asked for before.
    this.#shared ??= share(this.#calls);
    const socket = new UdpSocket(handle, this.#shared, { ...options, address: local as SocketAddress });
    return { ok: true, socket };
  }
}

interface Opened {
  readonly receiver: DatagramReceiver;
  readonly isConnected: boolean;
  readonly address: SocketAddress;
}

class UdpSocket implements DatagramSocket, Sender {
  readonly address: SocketAddress;
  #dropped = 0;
  readonly #handle: Handle;
  readonly #shared: Shared;
  readonly #receiver: DatagramReceiver;
  readonly #isConnected: boolean;
  readonly #fd: number;
  /** Received since others had their turn. */
  #taken = 0;
  /** Of which nobody was told yet. */
  readonly #errors: number[] = [];
  #isClosed = false;

  constructor(handle: Handle, shared: Shared, { receiver, isConnected, address }: Opened) {
    this.#handle = handle;
    this.#shared = shared;
    this.#receiver = receiver;
    this.#isConnected = isConnected;
    this.address = address;
    this.#fd = handle.fd;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the handle has no other way.
    handle.onmessage = (length, _handle, bytes, from) => {
      if (length < 0) this.failed(length);
      else this.#receive(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes, 0, length), from);
    };
  }

  get droppedCount(): number {
    return this.#dropped;
  }

  reply(index: number, bytes: Uint8Array): void {
    this.#queue(bytes, this.#shared.incoming.sockaddr(index));
  }

  send(bytes: Uint8Array, to?: Peer): void {
    this.#queue(bytes, to?.sockaddr);
  }

  forward({ first, end }: Range, to?: Peer): void {
    const { incoming, outgoing } = this.#shared;
    if (this.#isClosed) {
      this.#dropped += end - first;
      return;
    }
    outgoing.flush();
    incoming.address({ first, end }, to);
    sendAll(this, incoming.messages, { first, end });
  }

  close(): void {
    if (this.#isClosed) return;
    // Nothing of it waits to be sent after that: the number may soon be another socket's.
    this.#shared.outgoing.flush();
    this.#isClosed = true;
    this.#handle.close();
  }

  sendMany(messages: MessageHeaders, { first, end }: Range): number {
    const { calls } = this.#shared;
    return calls === undefined
      ? this.#sendOne(messages, first)
      : calls.send(this.#fd, messages.from(first), end - first);
  }

  /**
   * The kernel tells of an error before it hands over what came earlier, and whoever hears of one may close the
   * socket: it is told once that has been received.
   */
  failed(errno: number): void {
    if (this.#errors.push(errno) > 1) return;
    if (this.#shared.calls !== undefined) queueMicrotask(() => this.#tellErrors());
    // What waits comes with the next turn of the event loop.
    else setImmediate(() => setImmediate(() => this.#tellErrors()));
  }

  dropped(): void {
    this.#dropped++;
  }

  #receive(bytes: Uint8Array, from: SocketAddress): void {
    this.#shared.incoming.take(bytes, from);
    let mayHaveMore: boolean;
    do {
      mayHaveMore = this.#passOnBatch();
    } while (mayHaveMore && this.#taken < DATAGRAMS_A_TURN);
    if (this.#taken >= DATAGRAMS_A_TURN) this.#pause();
  }

  /** What was taken already, and what else waits. False where that was all. */
  #passOnBatch(): boolean {
    const { incoming, outgoing } = this.#shared;
    const mayHaveMore = this.#takeWaiting(incoming);
    if (incoming.count === 0) return false;
    this.#taken += incoming.count;
    this.#shared.isReceiving = true;
    try {
      this.#receiver.received(incoming, this);
    } finally {
      this.#shared.isReceiving = false;
      incoming.count = 0;
      outgoing.flush();
    }
    return mayHaveMore && !this.#isClosed;
  }

  /** What waits, after what was taken already. False where that was all. */
  #takeWaiting(incoming: Incoming): boolean {
    const { calls } = this.#shared;
    if (calls === undefined) return false;
    const room = incoming.prepare();
    const headers = incoming.messages.from(incoming.count);
    let taken = calls.receive(this.#fd, headers, room);
    if (taken < 0 && taken !== AGAIN) {
      this.failed(taken);
      // With that it is told, and what waits behind it comes.
      taken = calls.receive(this.#fd, headers, room);
    }
    if (taken > 0) incoming.count += taken;
    return taken === room;
  }

  #pause(): void {
    if (this.#isClosed) return;
    this.#handle.recvStop();
    setImmediate(() => {
      this.#taken = 0;
      if (!this.#isClosed) this.#handle.recvStart();
    });
  }

  #tellErrors(): void {
    // Listeners stay open: what waits there comes in its turn.
    let mayHaveMore = this.#isConnected && !this.#isClosed;
    for (let batch = 0; mayHaveMore && batch < BATCHES_BEFORE_ERROR; batch++) {
      mayHaveMore = this.#passOnBatch();
    }
    for (const errno of new Set(this.#errors.splice(0))) {
      if (!this.#isClosed) this.#receiver.failed(getSystemErrorName(errno));
    }
  }

  #queue(bytes: Uint8Array, sockaddr: Uint8Array | undefined): void {
    const { outgoing, isReceiving } = this.#shared;
    if (this.#isClosed || bytes.length > LONGEST_DATAGRAM) {
      this.dropped();
      return;
    }
    if (outgoing.isEmpty && !isReceiving) queueMicrotask(() => outgoing.flush());
    outgoing.add(this, bytes, sockaddr);
  }

  /** Positive, or a negative errno, as many are. */
  #sendOne(messages: MessageHeaders, slot: number): number {
    const bytes = messages.data.slice(slot * SLOTS.bytes, slot * SLOTS.bytes + messages.lengthOf(slot));
    const request = new SendWrap();
    if (this.#isConnected) return done(this.#handle.send(request, [bytes], 1, false));
    const { address, port } = readSockaddr(messages.names, slot * SOCKADDR_BYTES);
    return done(
      isIPv6(address)
        ? this.#handle.send6(request, [bytes], 1, port, address, false)
        : this.#handle.send(request, [bytes], 1, port, address, false),
    );
  }
}

/** Node tells how much it has sent and one more, or 0 where it will: one datagram is on its way then. */
function done(result: number): number {
  return result < 0 ? result : 1;
}
