import {
  connectTcp,
  type ConnectWaiter,
  type StreamReader,
  type StreamWriter,
  type TcpStream,
  WRITE_PENDING,
} from '../forward/tcp.ts';
import type { SocketAddress } from '../forward/socket-address.ts';
import { getSystemErrorName } from 'node:util';
import type { Answer } from './answer.ts';
import type { HeldMemory } from './held-memory.ts';
import { LineSplitter } from './lines.ts';
import { LONGEST_READ, parseReply } from './protocol.ts';

/** What became of a message that was given to another sidecar. */
export type Sent =
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** Nothing was written: another may be tried. `why` goes after the sidecar's name. */
  | { readonly kind: 'not-sent'; readonly why: string }
  /** It was written, and nobody knows. */
  | { readonly kind: 'lost'; readonly why: string };

/** One message for another sidecar. */
export interface Job {
  readonly line: Buffer;
  /** When it is given up, by a monotonic clock. */
  readonly deadlineMs: number;
  readonly done: (sent: Sent) => void;
}

/** Whom a connection belongs to. */
export interface PeerOwner {
  /** Read into by all connections: what is read is copied before another reads. */
  readonly readBuffer: Uint8Array;
  readonly memory: HeldMemory;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  becameIdle(connection: PeerConnection): void;
  /** @param isReachable false: nobody accepted */
  closed(connection: PeerConnection, isReachable: boolean): void;
}

const NO_ROOM = 'answers at length, and this sidecar holds as much as it may of all connections';

/** A connection to another sidecar, with one message on it at a time, so that no reply can be mistaken. */
export class PeerConnection implements ConnectWaiter, StreamReader, StreamWriter {
  readonly #owner: PeerOwner;
  readonly #splitter = new LineSplitter(LONGEST_READ);
  readonly #stream: TcpStream;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #job: Job | undefined;
  #sinceMs = performance.now();
  #accountedBytes = 0;
  /** The bytes of a pending write: they must stay where they are. */
  #writing: Buffer | undefined;

  constructor(address: SocketAddress, job: Job, owner: PeerOwner) {
    this.#owner = owner;
    this.#job = job;
    this.#stream = connectTcp(address, this);
  }

  /** Somebody has accepted. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  connected(): void {
    this.#state = 'open';
    this.#stream.attach(this, this.#owner.readBuffer);
    this.#stream.startReading();
    this.#write();
  }

  connectFailed(code: string): void {
    this.#close({ kind: 'not-sent', why: `did not accept (${code})` });
  }

  /** Only while it is idle. */
  send(job: Job): void {
    this.#job = job;
    this.#write();
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    const { connectTimeoutMs, idleTimeoutMs } = this.#owner;
    const job = this.#job;
    if (this.#state === 'connecting') {
      const isOver =
        nowMs - this.#sinceMs >= connectTimeoutMs || (job !== undefined && nowMs >= job.deadlineMs);
      if (isOver) this.connectFailed('ETIMEDOUT');
    } else if (job === undefined) {
      if (nowMs - this.#sinceMs >= idleTimeoutMs) this.close();
    } else if (nowMs >= job.deadlineMs) {
      this.#close({ kind: 'lost', why: 'did not answer in time' });
    }
  }

  close(): void {
    const kind = this.#state === 'connecting' ? 'not-sent' : 'lost';
    this.#close({ kind, why: 'was given up, as this sidecar is ending' });
  }

  read(length: number): undefined {
    this.#splitter.push(this.#owner.readBuffer.subarray(0, length));
    const line = this.#splitter.next();
    this.#account(this.#splitter.heldBytes);
    if (line === undefined) {
      if (this.#owner.memory.isOver) this.#close({ kind: 'lost', why: NO_ROOM });
      return;
    }
    const job = this.#job;
    const answer = typeof line === 'string' ? parseReply(line) : undefined;
    if (job === undefined || answer === undefined) {
      this.#close({ kind: 'lost', why: 'answered with something that is no reply' });
      return;
    }
    this.#job = undefined;
    this.#sinceMs = performance.now();
    job.done({ kind: 'answered', answer });
    // More than was asked for, or sooner: what comes next could be taken for the answer to something else.
    if (this.#splitter.heldBytes > 0 || this.#writing !== undefined) this.close();
    else this.#owner.becameIdle(this);
  }

  readEnded(): void {
    this.#close({ kind: 'lost', why: 'closed the connection without an answer' });
  }

  readFailed(code: string): void {
    this.#close({ kind: 'lost', why: `broke off the connection (${code})` });
  }

  writeFinished(): void {
    this.#writing = undefined;
  }

  writeFailed(code: string): void {
    this.readFailed(code);
  }

  #write(): void {
    const job = this.#job;
    if (job === undefined) return;
    const written = this.#stream.write(job.line, this);
    // An error at once means that the kernel has taken nothing.
    if (written < 0) this.#close({ kind: 'not-sent', why: `is gone (${getSystemErrorName(written)})` });
    else if (written === WRITE_PENDING) this.#writing = job.line;
  }

  /** What is held now, told to the sum of all. */
  #account(heldBytes: number): void {
    this.#owner.memory.bytes += heldBytes - this.#accountedBytes;
    this.#accountedBytes = heldBytes;
  }

  #close(sent: Sent): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#account(0);
    if (this.#job === undefined) this.#stream.close();
    else this.#stream.reset();
    const job = this.#job;
    this.#job = undefined;
    this.#owner.closed(this, sent.kind !== 'not-sent');
    job?.done(sent);
  }
}
