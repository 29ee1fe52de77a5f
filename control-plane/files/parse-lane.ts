import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { DocumentsRead } from './parse-documents.ts';

export interface LaneLimits {
  /** Of the heap of its thread. */
  readonly megabytes: number;
  /** For one text. */
  readonly milliseconds: number;
}

export type Parsed =
  | { readonly outcome: 'read'; readonly read: DocumentsRead; readonly milliseconds: number }
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'late' | 'too-large' }
  | { readonly outcome: 'failed'; readonly message: string };

/** Loading the parser must not count as parsing, however busy the machine is. */
const START_MS = 60_000;
/** The memory of a thread without work is given back after this time. */
const IDLE_MS = 1_000;

/** A thread that parses one text after another. A text that goes over a limit ends the thread, and fails alone. */
export class ParseLane {
  readonly #limits: LaneLimits;
  #thread: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** Parses once the texts before it are done. Never rejects. */
  async parse(text: string, signal: AbortSignal): Promise<Parsed> {
    clearTimeout(this.#idle);
    this.#waiting += 1;
    const parsed = this.#last.then(async () => this.#parseNext(text, signal));
    this.#last = parsed;
    const result = await parsed;
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#idle = setTimeout(() => void this.#end(), IDLE_MS);
    return result;
  }

  /** Resolves when the thread has ended. Cancel what is being parsed first. */
  async close(): Promise<void> {
    await this.#last;
    clearTimeout(this.#idle);
    await this.#end();
  }

  async #parseNext(text: string, signal: AbortSignal): Promise<Parsed> {
    if (signal.aborted) return { outcome: 'cancelled' };
    let deadline = AbortSignal.timeout(START_MS);
    try {
      this.#thread ??= await this.#start(AbortSignal.any([signal, deadline]));
      deadline = AbortSignal.timeout(this.#limits.milliseconds);
      const began = performance.now();
      const answer = once(this.#thread, 'message', { signal: AbortSignal.any([signal, deadline]) });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window: a thread has no origin
      this.#thread.postMessage(text);
      const [read] = (await answer) as [DocumentsRead];
      return { outcome: 'read', read, milliseconds: performance.now() - began };
    } catch (error) {
      await this.#end();
      if (signal.aborted) return { outcome: 'cancelled' };
      if (deadline.aborted) return { outcome: 'late' };
      const { code, message } = error as NodeJS.ErrnoException;
      return code === 'ERR_WORKER_OUT_OF_MEMORY' ? { outcome: 'too-large' } : { outcome: 'failed', message };
    }
  }

  async #start(signal: AbortSignal): Promise<Worker> {
    const thread = new Worker(new URL('./parse-thread.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.megabytes },
    });
    // A thread may fail while no text is waited for; the next text then finds it ended.
    thread.on('error', () => {
      if (this.#thread === thread) this.#thread = undefined;
    });
    try {
      await once(thread, 'message', { signal });
      return thread;
    } catch (error) {
      await thread.terminate();
      throw error;
    }
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }
}
