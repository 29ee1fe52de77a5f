import {
  connectTcp,
  type ConnectWaiter,
  type StreamReader,
  type StreamWriter,
  type TcpStream,
  WRITE_FINISHED,
  WRITE_PENDING,
} from '../net/tcp.ts';
import { connectFailureOf } from '../forward/outcome.ts';
import type { SocketAddress } from '../net/socket-address.ts';
import { getSystemErrorName } from 'node:util';
import type { Answer } from './answer.ts';
import type { HeldMemory } from './held-memory.ts';
import { LineSplitter } from './lines.ts';
import { LONGEST_READ, parseReply } from './protocol.ts';

/** What became of a message that was given to another sidecar. */
export type Sent = { readonly kind: 'answered'; readonly answer: Answer } | Unanswered;

export interface Unanswered {
  /** `not-sent`: not all of it was, so nobody has it, and another may be tried. `lost`: all of it was. */
  readonly kind: 'not-sent' | 'lost';
  /** Goes after the other sidecar's name. */
  readonly why: string;
  /** This sidecar had no room, or is ending: that tells nothing of the other. */
  readonly isOurs: boolean;
}

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
  /** @param unreached why, where nobody accepted */
  closed(connection: PeerConnection, unreached: Unanswered | undefined): void;
}

export const ENDING = 'was given up, as this sidecar is ending';
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
  /** What the kernel may not have all of: until a pending write has ended the bytes must stay where they are. */
  #writing: Buffer | undefined;
  /** An errno's name. */
  #writeFailure: string | undefined;

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
    this.#end(`did not accept (${code})`, connectFailureOf(code) === 'local');
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
    } else if (this.#writeFailure !== undefined) {
      this.readFailed(this.#writeFailure);
    } else if (nowMs >= job.deadlineMs) {
      this.#end('did not answer in time');
    }
  }

  close(): void {
    this.#end(ENDING, true);
  }

  read(length: number): undefined {
    this.#splitter.push(this.#owner.readBuffer.subarray(0, length));
    const line = this.#splitter.next();
    this.#splitter.keep();
    this.#account(this.#splitter.heldBytes);
    if (line === undefined) {
      if (!this.#owner.memory.makeRoom(0)) this.#end(NO_ROOM, true);
      return;
    }
    const job = this.#job;
    const answer = typeof line === 'string' ? parseReply(line) : undefined;
    if (job === undefined || answer === undefined) {
      this.#end('answered with something that is no reply');
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
    this.#end('closed the connection without an answer');
  }

  readFailed(code: string): void {
    this.#end(`broke off the connection (${code})`);
  }

  writeFinished(): void {
    this.#writing = undefined;
  }

  /** Why may wait to be read: whoever has no room for a message says so, and breaks off. After that comes an end. */
  writeFailed(code: string): void {
    this.#writeFailure = code;
  }

  #write(): void {
    const job = this.#job;
    if (job === undefined) return;
    this.#writing = job.line;
    const written = this.#stream.write(job.line, this);
    if (written === WRITE_FINISHED) this.#writing = undefined;
    else if (written !== WRITE_PENDING) this.writeFailed(getSystemErrorName(written));
  }

  /**
   * Whether the kernel has all of the message. Before that nobody can have been given it: a line is taken with its
   * end, which comes last. What the kernel does have is followed by a reset and no FIN, which would be an end as well.
   * That a write is pending is no proof: it is until its writer hears of it, and the kernel may have all some time
   * before.
   */
  get #isHandedOver(): boolean {
    if (this.#writing === undefined) return this.#state === 'open';
    return this.#writeFailure === undefined && this.#stream.unsentBytes === 0;
  }

  /** What is held now, told to the sum of all. */
  #account(heldBytes: number): void {
    this.#owner.memory.bytes += heldBytes - this.#accountedBytes;
    this.#accountedBytes = heldBytes;
  }

  #end(why: string, isOurs = false): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    const sent = { kind: this.#isHandedOver ? 'lost' : 'not-sent', why, isOurs } as const;
    this.#state = 'closed';
    this.#account(0);
    if (this.#job === undefined && this.#writing === undefined) this.#stream.close();
    else this.#stream.reset();
    const job = this.#job;
    this.#job = undefined;
    this.#owner.closed(this, wasOpen ? undefined : sent);
    job?.done(sent);
  }
}
