import type { IncomingMessage } from 'node:http';
import { type JsonBounds, JsonScan } from '../process/json-bounds.ts';

export type Body =
  | WholeBody
  | { readonly ok: false; readonly status: 400 | 413 | 503; readonly sentence: string }
  /** Whoever sent it went away. */
  | { readonly ok: false; readonly status: undefined };

export interface WholeBody {
  readonly ok: true;
  readonly bytes: Buffer;
  /** Of parsing it, in bytes of plain text, about. */
  readonly cost: number;
  /** To be called once the bytes are used no more: until then they count as held. */
  readonly release: () => void;
}

export interface BodyLimits extends JsonBounds {
  /** Of one body. An API server takes objects of 3 MiB, which grow a little as JSON in a review. */
  readonly bodyBytes: number;
  /** Of all that are being read or wait to be parsed. */
  readonly allBodiesBytes: number;
  /** Likewise, of those from one remote address. */
  readonly addressBytes: number;
  /** A body that is no longer than this is read however much is being read: most reviews are, by far. */
  readonly smallBodyBytes: number;
  /** How much of a body that is refused is read, and forgotten, so that its sender hears why. */
  readonly discardedBytes: number;
}

const MEBIBYTE = 1024 ** 2;

export const BODY_LIMITS: BodyLimits = {
  bodyBytes: 3.25 * MEBIBYTE,
  allBodiesBytes: 48 * MEBIBYTE,
  addressBytes: 16 * MEBIBYTE,
  smallBodyBytes: 64 * 1024,
  discardedBytes: 8 * MEBIBYTE,
  // A pod's review is 12 levels deep; 100,000 values are some 7,000 variables with their managedFields.
  depth: 64,
  values: 100_000,
};

/** What a value costs to parse at worst, compared with a byte of text. */
const VALUE_COST = 20;

type Refusal = Extract<Body, { readonly sentence: string }>;

/** Reads bodies into memory within limits; how long one may take is for the server's request timeout. */
export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #held = new HeldBytes();

  constructor(limits: BodyLimits = BODY_LIMITS) {
    this.#limits = limits;
  }

  read(request: IncomingMessage): Promise<Body> {
    return new Promise((resolve) => {
      const { remoteAddress = '' } = request.socket;
      const { bodyBytes, discardedBytes } = this.#limits;
      const body = new ReceivedBody(bodyBytes, (bytes) => this.#held.add(remoteAddress, bytes));
      const scan = new JsonScan(this.#limits);
      let received = 0;
      let refusal: Refusal | undefined;
      let isSettled = false;
      const end = (isWhole: boolean): void => {
        if (isSettled) return;
        isSettled = true;
        if (refusal === undefined && isWhole) {
          const { bytes } = body;
          const cost = bytes.length + VALUE_COST * scan.values;
          resolve({ ok: true, bytes, cost, release: () => body.release() });
        } else {
          body.release();
          resolve(refusal ?? GONE);
        }
      };
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (refusal === undefined) {
          body.append(chunk);
          refusal = this.#refusal(remoteAddress, received, scan.push(chunk));
          if (refusal !== undefined) body.release();
        }
        if (received > discardedBytes) end(false);
      });
      request.on('end', () => end(true));
      request.on('close', () => end(false));
      request.on('error', () => end(false));
    });
  }

  #refusal(address: string, length: number, excess: string | undefined): Refusal | undefined {
    const { bodyBytes, allBodiesBytes, addressBytes, smallBodyBytes } = this.#limits;
    if (length > bodyBytes) {
      return { ok: false, status: 413, sentence: `the body is longer than ${bodyBytes} bytes` };
    }
    if (excess !== undefined) return { ok: false, status: 400, sentence: `the body ${excess}` };
    if (length <= smallBodyBytes) return undefined;
    return this.#held.total > allBodiesBytes || this.#held.from(address) > addressBytes
      ? { ok: false, status: 503, sentence: 'too many long bodies at once: try again' }
      : undefined;
  }
}

const GONE: Body = { ok: false, status: undefined };

/** Bytes of all bodies, and by the remote address that sends them. */
class HeldBytes {
  total = 0;
  readonly #byAddress = new Map<string, number>();

  from(address: string): number {
    return this.#byAddress.get(address) ?? 0;
  }

  add(address: string, bytes: number): void {
    this.total += bytes;
    const held = this.from(address) + bytes;
    if (held > 0) this.#byAddress.set(address, held);
    else this.#byAddress.delete(address);
  }
}

const SMALLEST_BUFFER = 16 * 1024;

/** One buffer, however small the pieces that come: each piece by itself would take some 200 bytes beside its own. */
class ReceivedBody {
  readonly #mostBytes: number;
  readonly #hold: (bytes: number) => void;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  constructor(mostBytes: number, hold: (bytes: number) => void) {
    this.#mostBytes = mostBytes;
    this.#hold = hold;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    // Most bodies come in one piece, which is kept as it is.
    if (this.#length === 0) this.#replace(chunk);
    else if (length > this.#buffer.length) {
      const capacity = Math.min(Math.max(SMALLEST_BUFFER, 2 * length), this.#mostBytes);
      const larger = Buffer.allocUnsafeSlow(Math.max(length, capacity));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#replace(larger);
    }
    if (this.#length > 0) chunk.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  release(): void {
    this.#replace(Buffer.alloc(0));
    this.#length = 0;
  }

  #replace(buffer: Buffer): void {
    this.#hold(buffer.length - this.#buffer.length);
    this.#buffer = buffer;
  }
}
