/** Whether a program may be sent work, and if not, what it is waiting for. */
export class Readiness {
  readonly #waitingFor = new Map<symbol, () => string>();
  readonly #sentences: (() => string | undefined)[] = [];

  /**
   * Holds readiness back until the returned function is called. `reason` completes the sentence
   * "not ready: …" and is asked each time, so it may tell of progress.
   */
  block(reason: string | (() => string)): () => void {
    const token = Symbol();
    this.#waitingFor.set(token, typeof reason === 'string' ? () => reason : reason);
    return () => void this.#waitingFor.delete(token);
  }

  /**
   * Has something told beside "ready" that does not keep work away. The sentence is asked for each time;
   * undefined: all is well.
   */
  remark(sentence: () => string | undefined): void {
    this.#sentences.push(sentence);
  }

  get isReady(): boolean {
    return this.#waitingFor.size === 0;
  }

  /** What is waited for, oldest first; empty when ready. */
  get reasons(): string[] {
    return [...this.#waitingFor.values()].map((reason) => reason());
  }

  get remarks(): string[] {
    return this.#sentences.map((sentence) => sentence()).filter((sentence) => sentence !== undefined);
  }
}
