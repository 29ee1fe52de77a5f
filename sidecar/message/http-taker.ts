import { Agent, type IncomingMessage, request } from 'node:http';
import { type Answer, delivered, type Failure, failed } from './answer.ts';
import type { Taker } from './delivery.ts';
import { HeldMemory } from './held-memory.ts';
import { dotted, LONGEST_ANSWER, type Message } from './protocol.ts';

export interface HttpTakerOptions {
  readonly url: string;
  /** From when a message comes until it is answered. */
  readonly timeoutMs: number;
  /** Messages with the workload at one time. */
  readonly concurrency?: number;
  /** Messages that wait for that. */
  readonly maxWaiting?: number;
  /** Of its own where it is left out. */
  readonly memory?: HeldMemory;
}

/**
 * A connection that rests is not used again after this: servers close theirs after some seconds, and a message
 * that meets the close would be lost.
 */
const KEPT_MS = 1_000;
const HTTP_PORT = 80;

/**
 * Hands messages to the workload as HTTP POST requests, whose bodies are the payloads: an answer of 2xx has been
 * delivered, and its body is the reply. Nothing is sent a second time.
 */
export class HttpTaker implements Taker {
  readonly #url: string;
  /** What senders are told of it. */
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #concurrency: number;
  readonly #maxWaiting: number;
  readonly #agent: Agent;
  readonly #memory: HeldMemory;
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor({ url, timeoutMs, concurrency = 64, maxWaiting = 20_000, memory }: HttpTakerOptions) {
    this.#memory = memory ?? new HeldMemory();
    this.#url = url;
    this.#name = nameOf(url);
    this.#timeoutMs = timeoutMs;
    this.#concurrency = concurrency;
    this.#maxWaiting = maxWaiting;
    this.#agent = new Agent({ keepAlive: true, maxSockets: concurrency, timeout: KEPT_MS });
  }

  async take(message: Message, from: string): Promise<Answer> {
    const sinceMs = performance.now();
    if (this.#active < this.#concurrency) {
      this.#active++;
    } else if (this.#waiting.length < this.#maxWaiting) {
      // Whoever ends hands over its place.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      return this.#overloaded();
    }
    const waitedMs = performance.now() - sinceMs;
    // Whatever happens: a place that is not left is lost to all that come.
    try {
      // With less time than that an answer would more likely be missed than heard.
      if (waitedMs > this.#timeoutMs / 2) return this.#overloaded();
      return await this.#post(message, from, this.#timeoutMs - waitedMs);
    } finally {
      this.#leave();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#active--;
    else next();
  }

  #post({ service, payload }: Message, from: string, limitMs: number): Promise<Answer> {
    const body = Buffer.from(payload, 'base64');
    return new Promise((resolve) => {
      let wasConnected = false;
      let hasAnswered = false;
      const post = request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': body.length,
          'cortexflow-service': dotted(service),
          'cortexflow-from': from,
        },
      });
      const limit = setTimeout(
        () => post.destroy(new Error(`no answer in ${Math.round(limitMs)} ms`)),
        limitMs,
      );
      const end = (answer: Answer): void => {
        clearTimeout(limit);
        resolve(answer);
      };
      post.on('socket', (socket) => {
        wasConnected = !socket.connecting;
        if (socket.connecting) socket.once('connect', () => (wasConnected = true));
      });
      post.on('response', (response) => {
        hasAnswered = true;
        void this.#read(response).then(end);
      });
      post.on('upgrade', ({ statusCode = 0 }, socket) => {
        socket.destroy();
        end(this.#refused(statusCode));
      });
      post.on('error', (error: NodeJS.ErrnoException) => {
        end(this.#unanswered(error.code ?? error.message, wasConnected));
      });
      // However else it ends: whoever waits for a place would wait for ever.
      post.on('close', () => {
        if (!hasAnswered) end(this.#unanswered('no answer', wasConnected));
      });
      post.end(body);
    });
  }

  async #read(response: IncomingMessage): Promise<Answer> {
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode >= 300) {
      // Read, so that the connection can be used again; a long one is not worth that.
      await bodyOf(response, this.#memory);
      return this.#refused(statusCode);
    }
    const body = await bodyOf(response, this.#memory);
    if (typeof body !== 'string') return delivered(body.toString('base64'));
    return this.#failed('bad-answer', `gave an answer that ${body}: the message was delivered.`);
  }

  #refused(status: number): Answer {
    return this.#failed('refused', `answered with status ${status}.`);
  }

  #unanswered(reason: string, wasConnected: boolean): Answer {
    return wasConnected
      ? this.#failed('lost', `did not answer (${reason}): the message may have been delivered.`)
      : this.#failed('unreachable', `cannot be reached (${reason}): the message was not delivered.`);
  }

  #overloaded(): Answer {
    return this.#failed(
      'overloaded',
      'has more messages waiting for it than it answers: the message was not delivered.',
    );
  }

  /** @param what goes after the workload's name */
  #failed(outcome: Failure, what: string): Answer {
    return failed(outcome, `${this.#name} ${what}`, `${this.#url} ${what}`);
  }
}

/** Without the host and the query: anybody can be a sender, and a query may hold what lets a message in. */
function nameOf(url: string): string {
  const { port, pathname } = new URL(url);
  return `the workload at port ${port === '' ? HTTP_PORT : port}${pathname}`;
}

/** Or what is wrong with it. */
async function bodyOf(response: IncomingMessage, memory: HeldMemory): Promise<Buffer | string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      memory.bytes += chunk.length;
      if (!memory.makeRoom(0))
        return 'finds no room: this sidecar holds as much as it may of all connections';
      if (length > LONGEST_ANSWER) return `is longer than ${LONGEST_ANSWER} bytes`;
      chunks.push(chunk);
    }
  } catch {
    return 'broke off';
  } finally {
    memory.bytes -= length;
  }
  return Buffer.concat(chunks);
}
