/** How far the order of flows may be behind, so that not every datagram has to move its flow. */
const ORDER_MS = 1_000;

/** What has been used lately, and when. */
export interface Used {
  readonly key: string;
  /** Milliseconds of a monotonic clock. */
  usedAtMs: number;
  /** When its place in the order was last set right. */
  placedAtMs: number;
}

/** Flows by their key, in the order of their last use, a second more or less. Pure. */
export class FlowTable<Flow extends Used> {
  /** Maps keep the order of insertion. */
  readonly #flows = new Map<string, Flow>();

  get size(): number {
    return this.#flows.size;
  }

  /** The one that has been quiet for longest. */
  get quietest(): Flow | undefined {
    return this.#flows.values().next().value;
  }

  get(key: string): Flow | undefined {
    return this.#flows.get(key);
  }

  add(flow: Flow): void {
    this.#flows.set(flow.key, flow);
  }

  used(flow: Flow, nowMs: number): void {
    flow.usedAtMs = nowMs;
    if (nowMs - flow.placedAtMs < ORDER_MS || this.#flows.get(flow.key) !== flow) return;
    flow.placedAtMs = nowMs;
    this.#flows.delete(flow.key);
    this.#flows.set(flow.key, flow);
  }

  remove(flow: Flow): void {
    if (this.#flows.get(flow.key) === flow) this.#flows.delete(flow.key);
  }

  /** Those that nobody has used since, quietest first. */
  *quietSince(sinceMs: number): Iterable<Flow> {
    for (const flow of this.#flows.values()) {
      // What is placed later than that was used later, and so was all that follows.
      if (flow.placedAtMs > sinceMs) return;
      if (flow.usedAtMs <= sinceMs) yield flow;
    }
  }

  [Symbol.iterator](): Iterator<Flow> {
    return this.#flows.values();
  }
}
