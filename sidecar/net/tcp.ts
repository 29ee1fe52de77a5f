/**
 * TCP on Node's own handles. The only file that knows them.
 *
 * `net.Socket` costs more than half of what a proxy's connection takes (streams, events, timers, two objects
 * for each side), so the forwarder uses what `net.Socket` itself is built on: `TCP` from `tcp_wrap`, reached by
 * `process.binding`. None of that is public API. What is relied upon, as of Node 26:
 *
 * - `handle.onread` is called with `this` = the handle after each read, with the outcome in
 *   `streamBaseState[kReadBytesOrError]`: a length, or a negative errno. With `useUserBuffer(buffer)` the bytes
 *   are in that buffer; a buffer returned from `onread` is used from then on, and so is one given by another
 *   `useUserBuffer` while nothing is being read.
 * - `handle.writeBuffer(request, bytes)` tries to write at once. If `streamBaseState[kLastWriteWasAsync]` is 0,
 *   all is written and `request` is as new; otherwise the bytes must stay untouched until `request.oncomplete`, and
 *   `handle.writeQueueSize` says how many of them the kernel has not taken.
 * - `handle.reset()` closes with a RST, `handle.close()` with a FIN; after either the memory is ours again. A
 *   write that the kernel had taken by then still completes afterwards, with status 0 and not as cancelled.
 *
 * `tcp.test.ts` proves each of these, so a Node that changes them fails there first.
 */
import { isIPv6 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { binding } from '../native/binding.ts';
import type { ListenAddress, LocalPorts, SocketAddress } from './socket-address.ts';

interface Handle {
  reader: StreamReader | undefined;
  onread: ((this: Handle) => Uint8Array | undefined) | undefined;
  onconnection: ((status: number, accepted: Handle | undefined) => void) | undefined;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  shutdown(request: ShutdownRequest): number;
  reset(): number;
  close(): void;
  readonly fd: number;
  readonly writeQueueSize: number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, idleSeconds: number, intervalSeconds: number, probes: number): number;
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  listen(backlog: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  getsockname(out: Partial<SocketAddress>): number;
  getpeername(out: Partial<SocketAddress>): number;
}

interface WriteRequest {
  stream: TcpStream;
  writer: StreamWriter;
  oncomplete: (this: WriteRequest, status: number) => void;
}

interface ShutdownRequest {
  oncomplete: () => void;
}

interface ConnectRequest {
  stream: TcpStream;
  waiter: ConnectWaiter;
  oncomplete: (this: ConnectRequest, status: number) => void;
}

interface TcpWrap {
  readonly TCP: new (type: number) => Handle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number; readonly SERVER: number; readonly UV_TCP_IPV6ONLY: number };
}

interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap') as TcpWrap;
const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = binding(
  'stream_wrap',
) as StreamWrap;
const { UV_EOF, UV_EADDRNOTAVAIL } = binding('uv') as Readonly<Record<'UV_EOF' | 'UV_EADDRNOTAVAIL', number>>;

/** How many connections the kernel may finish before we accept them; it caps this at `somaxconn`. */
const BACKLOG = 4096;

/** When a silent peer is asked whether it is still there, how often, and how many times in vain. */
export interface KeepAlive {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
}

/** Who hears of the bytes of one stream. `read` is the hot path: called once for each read. */
export interface StreamReader {
  /** The first `length` bytes of the buffer in use are new. May return another buffer for what comes next. */
  read(length: number): Uint8Array | undefined;
  /** The peer has sent all it had to send (FIN). */
  readEnded(): void;
  /** The connection is gone; `code` is an errno's name, as `ECONNRESET`. */
  readFailed(code: string): void;
}

/** Who waits for a write that could not finish at once. */
export interface StreamWriter {
  writeFinished(): void;
  writeFailed(code: string): void;
}

/** Who waits for a connection. */
export interface ConnectWaiter {
  connected(stream: TcpStream): void;
  connectFailed(code: string): void;
}

/** What `write` answers, apart from a negative errno. */
export const WRITE_FINISHED = 0;
export const WRITE_PENDING = 1;

/** One TCP connection. Nothing is read from it before `startReading`; closed once is closed for good. */
export class TcpStream {
  /** By us. */
  isClosed = false;
  readonly #handle: Handle;
  #writeRequest: WriteRequest | undefined;
  #hasWritten = false;
  #isNagleOff = false;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** Who hears what is read from now on, and where it is put at first. Not while anything is being read. */
  attach(reader: StreamReader, buffer: Uint8Array): void {
    this.#handle.reader = reader;
    this.#handle.useUserBuffer(buffer);
    this.#handle.onread = onRead;
  }

  /**
   * What comes next is put there; the buffer used until now is free. Node keeps some dozen bytes for each call
   * until the connection is closed: not for every read, which can return the next buffer itself.
   */
  useBuffer(buffer: Uint8Array): void {
    if (!this.isClosed) this.#handle.useUserBuffer(buffer);
  }

  startReading(): void {
    this.#handle.readStart();
  }

  stopReading(): void {
    this.#handle.readStop();
  }

  /**
   * After `WRITE_PENDING` the bytes must not be touched, nor anything else written, until the writer hears that
   * the write has finished. A stream has one writer.
   */
  write(bytes: Uint8Array, writer: StreamWriter): number {
    this.#minimiseDelay();
    const request = (this.#writeRequest ??= writeRequest(this, writer));
    const error = this.#handle.writeBuffer(request, bytes);
    if (error !== 0) return error;
    if (streamBaseState[kLastWriteWasAsync] === 0) return WRITE_FINISHED;
    this.#writeRequest = undefined;
    return WRITE_PENDING;
  }

  /** Sends a FIN; the other direction stays open. Not while a write is pending. */
  shutdown(): void {
    const request = new ShutdownWrap();
    request.oncomplete = ignore;
    this.#handle.shutdown(request);
  }

  /** Lets go of the connection, with a FIN if none was sent yet. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#handle.reader = undefined;
    this.#handle.close();
  }

  /** Ends the connection with a RST, so that the peer does not take what it got for all there was. */
  reset(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#handle.reader = undefined;
    // Refused only while a FIN is about to leave, and then that FIN is true.
    if (this.#handle.reset() !== 0) this.#handle.close();
  }

  /** Of a pending write: those that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#handle.writeQueueSize;
  }

  /** Of the socket, while it is open. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** From now on a peer that is gone without a word is noticed, and whatever keeps the way to it awake stays so. */
  keepAlive({ idleSeconds, intervalSeconds, probes }: KeepAlive): void {
    if (!this.isClosed) this.#handle.setKeepAlive(true, idleSeconds, intervalSeconds, probes);
  }

  /** One system call; undefined where the connection is gone already. */
  localAddress(): SocketAddress | undefined {
    const out: Partial<SocketAddress> = {};
    return this.#handle.getsockname(out) === 0 ? (out as SocketAddress) : undefined;
  }

  /** One system call; undefined where the connection is gone already. */
  remoteAddress(): SocketAddress | undefined {
    const out: Partial<SocketAddress> = {};
    return this.#handle.getpeername(out) === 0 ? (out as SocketAddress) : undefined;
  }

  /**
   * Nagle's algorithm only ever holds back what follows bytes not yet acknowledged: a connection that writes
   * once is spared the system call.
   */
  #minimiseDelay(): void {
    if (this.#isNagleOff) return;
    if (this.#hasWritten) {
      this.#handle.setNoDelay(true);
      this.#isNagleOff = true;
    }
    this.#hasWritten = true;
  }
}

/** A listening socket, or why there is none. */
export type ListenResult =
  { readonly ok: true; readonly listener: TcpListener } | { readonly ok: false; readonly code: string };

export interface TcpListener {
  readonly address: SocketAddress;
  close(): void;
}

/** Who takes what a listener accepts. */
export interface Acceptor {
  accepted(stream: TcpStream): void;
  /**
   * The listener stays. Not called for EMFILE: libuv then accepts and closes what waits, with a FIN that nobody
   * here learns of. Keep connections below the limit of open files.
   */
  acceptFailed(code: string): void;
}

/** Listens on an IP address; port 0 lets the kernel choose. */
export function listenTcp({ address, port, ipv6Only }: ListenAddress, acceptor: Acceptor): ListenResult {
  const handle = new TCP(constants.SERVER);
  const flags = ipv6Only ? constants.UV_TCP_IPV6ONLY : 0;
  const bound = isIPv6(address) ? handle.bind6(address, port, flags) : handle.bind(address, port);
  const error = bound === 0 ? handle.listen(BACKLOG) : bound;
  const local: Partial<SocketAddress> = {};
  if (error !== 0 || handle.getsockname(local) !== 0) {
    handle.close();
    return { ok: false, code: getSystemErrorName(error) };
  }
  handle.onconnection = (status, accepted) => {
    if (accepted === undefined) acceptor.acceptFailed(getSystemErrorName(status));
    else acceptor.accepted(new TcpStream(accepted));
  };
  return { ok: true, listener: { address: local as SocketAddress, close: () => handle.close() } };
}

/** How many local ports are tried: others use some, and some still rest from an earlier connection. */
const MOST_LOCAL_PORTS = 64;

/** Connects to an IP address. Close the returned stream to stop waiting: the waiter hears no more then. */
export function connectTcp(to: SocketAddress, waiter: ConnectWaiter, local?: LocalPorts): TcpStream {
  const request = new TCPConnectWrap();
  request.waiter = waiter;
  request.oncomplete = onConnected;
  let error = connectHandle(request, to, local);
  for (
    let left = local === undefined ? 0 : MOST_LOCAL_PORTS;
    error === UV_EADDRNOTAVAIL && left > 0;
    left--
  ) {
    request.stream.close();
    error = connectHandle(request, to, local);
  }
  if (error !== 0) process.nextTick(failConnect, request, error);
  return request.stream;
}

/** A negative errno, or 0. */
function connectHandle(
  request: ConnectRequest,
  { address, port }: SocketAddress,
  local?: LocalPorts,
): number {
  const handle = new TCP(constants.SOCKET);
  request.stream = new TcpStream(handle);
  if (local !== undefined && !isBound(handle, local.next())) return UV_EADDRNOTAVAIL;
  return address.includes(':')
    ? handle.connect6(request, address, port)
    : handle.connect(request, address, port);
}

/** libuv keeps to itself until later that an address is in use: a socket without a port was not bound. */
function isBound(handle: Handle, { address, port }: SocketAddress): boolean {
  const error = address.includes(':') ? handle.bind6(address, port, 0) : handle.bind(address, port);
  const local: Partial<SocketAddress> = {};
  return error === 0 && handle.getsockname(local) === 0 && local.port === port;
}

function writeRequest(stream: TcpStream, writer: StreamWriter): WriteRequest {
  const request = new WriteWrap();
  request.stream = stream;
  request.writer = writer;
  request.oncomplete = onWritten;
  return request;
}

function onRead(this: Handle): Uint8Array | undefined {
  const result = streamBaseState[kReadBytesOrError] ?? 0;
  const reader = this.reader;
  if (result === 0 || reader === undefined) return undefined;
  if (result > 0) return reader.read(result);
  if (result === UV_EOF) reader.readEnded();
  else reader.readFailed(getSystemErrorName(result));
  return undefined;
}

function onWritten(this: WriteRequest, status: number): void {
  if (this.stream.isClosed) return;
  if (status === 0) this.writer.writeFinished();
  else this.writer.writeFailed(getSystemErrorName(status));
}

function onConnected(this: ConnectRequest, status: number): void {
  if (this.stream.isClosed) return;
  if (status === 0) this.waiter.connected(this.stream);
  else this.waiter.connectFailed(getSystemErrorName(status));
}

function failConnect(request: ConnectRequest, status: number): void {
  request.oncomplete(status);
}

function ignore(): void {}
