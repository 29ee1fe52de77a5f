/** Whether a program may be sent work, and if not, what it is waiting for. */
export class Readiness {
  readonly #waitingFor = new Map<symbol, () => string>();

  /**
   * Holds readiness back until the returned function is called. `reason` completes the sentence
   * "not ready: …" and is asked each time, so it may tell of progress.
   */
  block(reason: string | (() => string)): () => void {
    const token = Symbol();
    this.#waitingFor.set(token, typeof reason === 'string' ? () => reason : reason);
    return () => void this.#waitingFor.delete(token);
  }

  get isReady(): boolean {
    return this.#waitingFor.size === 0;
  }

  /** What is waited for, oldest first; empty when ready. */
  get reasons(): string[] {
    return [...this.#waitingFor.values()].map((reason) => reason());
  }
}
