import type { IncomingMessage } from 'node:http';

export type Body =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly status: 413 | 503; readonly sentence: string }
  /** Whoever sent it went away. */
  | { readonly ok: false; readonly status: undefined };

export interface BodyLimits {
  /** Of one body. An API server takes objects of 3 MiB, which grow a little as JSON in a review. */
  readonly bodyBytes: number;
  /** Of all that are being read at once. */
  readonly allBodiesBytes: number;
  /** Of all that one remote address is sending. */
  readonly addressBytes: number;
  /** A body that is no longer than this is read however much is being read: most reviews are, by far. */
  readonly smallBodyBytes: number;
  /** How much of a body that is too long is read, and forgotten, so that its sender hears why. */
  readonly discardedBytes: number;
}

export const BODY_LIMITS: BodyLimits = {
  bodyBytes: 4 * 1024 ** 2,
  allBodiesBytes: 64 * 1024 ** 2,
  addressBytes: 16 * 1024 ** 2,
  smallBodyBytes: 64 * 1024,
  discardedBytes: 64 * 1024 ** 2,
};

type Refusal = Extract<Body, { readonly sentence: string }>;

/** Reads bodies into memory within limits; how long one may take is for the server's request timeout. */
export class BodyReader {
  readonly #limits: BodyLimits;
  /** Bytes of all bodies that are being read. */
  #held = 0;
  /** Likewise, by the remote address that sends them. */
  readonly #heldFrom = new Map<string, number>();

  constructor(limits: BodyLimits = BODY_LIMITS) {
    this.#limits = limits;
  }

  read(request: IncomingMessage): Promise<Body> {
    return new Promise((resolve) => {
      const { remoteAddress = '' } = request.socket;
      const body: Buffer[] = [];
      let held = 0;
      let received = 0;
      let refusal: Refusal | undefined;
      const release = (): void => {
        this.#hold(remoteAddress, -held);
        held = 0;
        body.length = 0;
      };
      const end = (whole: boolean): void => {
        resolve(refusal ?? (whole ? { ok: true, text: textOf(body) } : GONE));
        release();
      };
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (refusal === undefined) {
          held += chunk.length;
          this.#hold(remoteAddress, chunk.length);
          body.push(chunk);
          refusal = this.#refusal(remoteAddress, held);
          if (refusal !== undefined) release();
        }
        if (received > this.#limits.discardedBytes) end(false);
      });
      request.on('end', () => end(true));
      request.on('close', () => end(false));
      request.on('error', () => end(false));
    });
  }

  #hold(address: string, bytes: number): void {
    this.#held += bytes;
    const held = (this.#heldFrom.get(address) ?? 0) + bytes;
    if (held > 0) this.#heldFrom.set(address, held);
    else this.#heldFrom.delete(address);
  }

  #refusal(address: string, length: number): Refusal | undefined {
    const { bodyBytes, allBodiesBytes, addressBytes, smallBodyBytes } = this.#limits;
    if (length > bodyBytes) {
      return { ok: false, status: 413, sentence: `the body is longer than ${bodyBytes} bytes` };
    }
    if (length <= smallBodyBytes) return undefined;
    return this.#held > allBodiesBytes || (this.#heldFrom.get(address) ?? 0) > addressBytes
      ? { ok: false, status: 503, sentence: 'too many long bodies at once: try again' }
      : undefined;
  }
}

const GONE: Body = { ok: false, status: undefined };

function textOf(chunks: readonly Buffer[]): string {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only.toString() : Buffer.concat(chunks).toString();
}
