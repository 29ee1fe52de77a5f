/** Whether a program may be sent work, and if not, what it is waiting for. */
export class Readiness {
  readonly #waitingFor = new Map<symbol, () => string>();
  readonly #remarks = new Map<symbol, string>();

  /**
   * Holds readiness back until the returned function is called. `reason` completes the sentence
   * "not ready: …" and is asked each time, so it may tell of progress.
   */
  block(reason: string | (() => string)): () => void {
    const token = Symbol();
    this.#waitingFor.set(token, typeof reason === 'string' ? () => reason : reason);
    return () => void this.#waitingFor.delete(token);
  }

  /** What whoever asks should know although it is ready, until the returned function is called. */
  remark(text: string): () => void {
    const token = Symbol();
    this.#remarks.set(token, text);
    return () => void this.#remarks.delete(token);
  }

  get remarks(): string[] {
    return [...this.#remarks.values()];
  }

  get isReady(): boolean {
    return this.#waitingFor.size === 0;
  }

  /** What is waited for, oldest first; empty when ready. */
  get reasons(): string[] {
    return [...this.#waitingFor.values()].map((reason) => reason());
  }
}
