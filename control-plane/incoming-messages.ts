import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ByteBudget, HeldBytes } from './xds/byte-budget.ts';

/** Why a stream was reset while a message came in. */
export type IncomingRefusal = 'compressed' | 'bytes' | 'slow';

export interface IncomingLimits {
  /** What messages that are incomplete may hold, with everything else that streams make this process hold. */
  readonly held: ByteBudget;
  /** A message that is not complete by then is refused, in milliseconds. */
  readonly messageMs: number;
}

/** Before each message, gRPC says in one byte whether it is compressed and in four how long it is. */
const PREFIX_BYTES = 5;

/** gRPC keeps the pieces of a message, and copies them into one when it is complete. */
const COPIES = 2;

/**
 * Watches the messages that come in on gRPC streams, before gRPC has them. It keeps a message until it is complete,
 * however many there are and however long they take, and decompresses all that came in one piece at once.
 */
export class IncomingMessages {
  readonly refused: Record<IncomingRefusal, number> = { compressed: 0, bytes: 0, slow: 0 };
  readonly #limits: IncomingLimits;

  constructor(limits: IncomingLimits) {
    this.#limits = limits;
  }

  watch(stream: ServerHttp2Stream, caller: string): void {
    const { held: budget, messageMs } = this.#limits;
    const held = new HeldBytes<'incoming'>(budget, caller);
    const message = new PartialMessage();
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      held.release();
    };
    const refuse = (reason: IncomingRefusal): void => {
      end();
      if (stream.destroyed || stream.closed) return;
      this.refused[reason] += 1;
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    };
    stream.on('data', (bytes: Buffer) => {
      const wasPartial = message.bytes > 0;
      if (!message.take(bytes)) return refuse('compressed');
      if (held.set('incoming', COPIES * message.bytes) !== undefined) return refuse('bytes');
      if (wasPartial && !message.isNew && message.bytes > 0) return undefined;
      clearTimeout(timer);
      timer = message.bytes > 0 ? setTimeout(refuse, messageMs, 'slow') : undefined;
      return undefined;
    });
    stream.once('close', end);
  }
}

/** How much has come of the message that is incomplete. */
class PartialMessage {
  /** Of it; 0 between two messages. */
  bytes = 0;
  /** Did the message begin in the last bytes that were taken? */
  isNew = false;
  #length = 0;

  /** False: a message is compressed. */
  take(bytes: Buffer): boolean {
    this.isNew = false;
    let at = 0;
    while (at < bytes.length) {
      if (this.bytes < PREFIX_BYTES) {
        if (!this.#takePrefix(bytes[at] as number)) return false;
        at += 1;
      } else {
        const taken = Math.min(bytes.length - at, PREFIX_BYTES + this.#length - this.bytes);
        this.bytes += taken;
        at += taken;
      }
      if (this.bytes >= PREFIX_BYTES && this.bytes - PREFIX_BYTES === this.#length) this.bytes = 0;
    }
    return true;
  }

  #takePrefix(byte: number): boolean {
    if (this.bytes === 0) {
      if (byte !== 0) return false;
      this.isNew = true;
      this.#length = 0;
    } else {
      this.#length = this.#length * 256 + byte;
    }
    this.bytes += 1;
    return true;
  }
}
