import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { AckFrame, DeltaResponse } from './delta-messages.ts';
import {
  ACK,
  END_STREAM,
  FIRST_SEND_WINDOW,
  FRAME_HEADER,
  FrameType,
  GRPC_HEADER,
  pingAck,
  settingsAck,
  windowUpdate,
} from './http2-frames.ts';

/** How fast a stream reads what it is sent. */
export type Pace = 'full' | 'slow' | 'stopped';

export interface StreamPlan {
  readonly port: number;
  /** What is sent on connecting: preface, settings, headers. */
  readonly opening: Buffer;
  /** The first requests, in DATA frames. */
  readonly requests: readonly Buffer[];
  /** Receive window in bytes. */
  readonly window: number;
  readonly pace: Pace;
}

export interface StreamObserver {
  onResponse(stream: DeltaStream, response: DeltaResponse): void;
  /** The server's first frame is there: it has accepted the connection. */
  onAccepted(): void;
  /** Called once, when the call or its connection has ended without `close`. */
  onEnded(stream: DeltaStream, reason: string): void;
}

const SLOW_READ_INTERVAL_MS = 500;

// Every stream reads into the same memory: what a read brings is dealt with before the next one.
const readBuffer = Buffer.allocUnsafe(256 * 1024);
const acks = new Map<string, AckFrame>();
let response = new DeltaResponse([]);

/** Types whose responses are counted and acknowledged. */
export function expectTypes(typeUrls: readonly string[]): void {
  response = new DeltaResponse(typeUrls);
  for (const typeUrl of typeUrls) acks.set(typeUrl, new AckFrame(typeUrl));
}

/** One delta call on a connection of its own, acknowledging all it is sent. */
export class DeltaStream {
  readonly #socket: Socket;
  readonly #plan: StreamPlan;
  readonly #observer: StreamObserver;
  #unsent: readonly Buffer[];
  readonly #sendWindow = { connection: FIRST_SEND_WINDOW, stream: FIRST_SEND_WINDOW };
  #unparsed: Buffer | undefined;
  #message: Buffer | undefined;
  #filled = 0;
  #consumed = 0;
  #accepted = false;
  #ended = false;

  constructor(plan: StreamPlan, observer: StreamObserver) {
    this.#plan = plan;
    this.#observer = observer;
    this.#socket = connect({
      port: plan.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length) => this.#read(length) },
    });
    this.#socket.write(plan.opening);
    this.#unsent = plan.requests;
    this.#sendRequests();
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('connection closed'));
  }

  /** Reads no more, and says nothing of it. */
  stop(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.close();
    this.#observer.onEnded(this, reason);
  }

  #read(length: number): boolean {
    const fresh = readBuffer.subarray(0, length);
    const bytes = this.#unparsed === undefined ? fresh : Buffer.concat([this.#unparsed, fresh]);
    const parsed = this.#frames(bytes);
    this.#unparsed = parsed === bytes.length ? undefined : Buffer.from(bytes.subarray(parsed));
    if (this.#plan.pace !== 'slow') return true;
    setTimeout(() => this.#socket.resume(), SLOW_READ_INTERVAL_MS).unref();
    return false;
  }

  /** Deals with all complete frames and returns where they end. */
  #frames(bytes: Buffer): number {
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER && !this.#ended) {
      const start = at + FRAME_HEADER;
      const end = start + ((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!);
      if (end > bytes.length) break;
      this.#frame(bytes, at, end);
      at = end;
    }
    return at;
  }

  #frame(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const start = at + FRAME_HEADER;
    if (type === FrameType.DATA) {
      this.#data(bytes, start, end);
      this.#giveBackWindow(end - start);
    } else if (type === FrameType.SETTINGS && (flags & ACK) === 0) {
      this.#socket.write(settingsAck);
      if (!this.#accepted) this.#observer.onAccepted();
      this.#accepted = true;
    } else if (type === FrameType.PING && (flags & ACK) === 0) {
      this.#socket.write(pingAck(bytes.subarray(start, end)));
    } else if (type === FrameType.WINDOW_UPDATE && this.#unsent.length > 0) {
      this.#sendWindow[bytes.readUInt32BE(at + 5) === 0 ? 'connection' : 'stream'] +=
        bytes.readUInt32BE(start);
      this.#sendRequests();
    } else if (type === FrameType.GOAWAY) {
      this.#end(`GOAWAY ${bytes.toString('latin1', start + 8, end)}`);
    } else if (type === FrameType.RST_STREAM) {
      this.#end(`RST_STREAM ${bytes.readUInt32BE(start)}`);
    } else if (type === FrameType.HEADERS && (flags & END_STREAM) !== 0) {
      this.#end('the call was ended');
    }
  }

  #sendRequests(): void {
    const window = this.#sendWindow;
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      const length = next.length - FRAME_HEADER;
      if (length > Math.min(window.connection, window.stream)) return;
      window.connection -= length;
      window.stream -= length;
      this.#socket.write(next);
      this.#unsent = this.#unsent.slice(1);
    }
  }

  #giveBackWindow(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < this.#plan.window / 2) return;
    this.#socket.write(windowUpdate(this.#consumed));
    this.#consumed = 0;
  }

  /** Splits DATA into gRPC messages. One that lies whole in the read buffer, as pushes do, is not copied. */
  #data(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#message === undefined && end - at >= GRPC_HEADER) {
        const message = at + GRPC_HEADER;
        const length = bytes.readUInt32BE(at + 1);
        if (message + length <= end) {
          this.#response(bytes, message, message + length);
          at = message + length;
          continue;
        }
        this.#message = Buffer.allocUnsafeSlow(GRPC_HEADER + length);
        this.#filled = 0;
      }
      at = this.#assemble(bytes, at, end);
    }
  }

  #assemble(bytes: Buffer, start: number, end: number): number {
    this.#message ??= Buffer.allocUnsafe(GRPC_HEADER);
    const copied = bytes.copy(this.#message, this.#filled, start, end);
    this.#filled += copied;
    if (this.#filled === GRPC_HEADER && this.#message.length === GRPC_HEADER) {
      const header = this.#message;
      this.#message = Buffer.allocUnsafeSlow(GRPC_HEADER + header.readUInt32BE(1));
      header.copy(this.#message);
    }
    if (this.#filled === this.#message.length) {
      const message = this.#message;
      this.#message = undefined;
      this.#filled = 0;
      this.#response(message, GRPC_HEADER, message.length);
    }
    return start + copied;
  }

  #response(bytes: Buffer, start: number, end: number): void {
    response.read(bytes, start, end);
    const ack = acks.get(response.typeUrl);
    if (ack === undefined) throw new Error(`nobody asked for a response of the type ${response.typeUrl}`);
    this.#socket.write(ack.of(response));
    this.#observer.onResponse(this, response);
  }
}
