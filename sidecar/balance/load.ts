import type { Candidate } from '../services/decision.ts';

/** How long an endpoint that failed to connect is nobody's first choice; twice as long each time it fails again. */
const AVOID_AFTER_FAILURE_MS = 1_000;
const AVOID_AT_MOST_MS = 60_000;

/** The time in which an old connect time loses all but 1/e of its weight. */
const LATENCY_DECAY_MS = 10_000;

/**
 * What this sidecar knows about the load of one endpoint, kept across changes of its group. Whoever opens a
 * connection reports on the record itself, so the report finds its way even after the endpoint has left.
 * Times are milliseconds of a monotonic clock.
 */
export class EndpointLoad {
  readonly id: string;
  /** Connections being opened or open. */
  active = 0;
  /** Connections opened since the sidecar first saw the endpoint. */
  opened = 0;
  #connecting = 0;
  /** Avoided, tried again and failed again so many times in a row. */
  #failures = 0;
  #avoidUntilMs = Number.NEGATIVE_INFINITY;
  #peakMs = 0;
  #peakAtMs = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** One of `connectSucceeded`, `connectedUnheard`, `connectFailed` and `connectAbandoned` follows. */
  connectStarted(): void {
    this.active++;
    this.#connecting++;
  }

  connectSucceeded(durationMs: number, nowMs: number): void {
    this.opened++;
    this.#connecting--;
    this.#failures = 0;
    this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
    this.#observe(durationMs, nowMs);
  }

  /** It is open, and nobody will tell whether the endpoint is there: others need not wait for that. */
  connectedUnheard(): void {
    this.#connecting--;
  }

  /** Takes back the connection that `connectStarted` announced. */
  connectFailed(durationMs: number, nowMs: number): void {
    this.connectAbandoned();
    this.#failed(nowMs - durationMs, nowMs);
  }

  /** Takes back the connection that `connectStarted` announced, without a word about the endpoint. */
  connectAbandoned(): void {
    this.active--;
    this.#connecting--;
  }

  /** A connection that had succeeded has ended. */
  closed(): void {
    this.active--;
  }

  /** It has ended because nobody is there any more: a new one would fail as well. */
  closedAsGone(nowMs: number): void {
    this.closed();
    this.#failed(nowMs, nowMs);
  }

  /**
   * After a failure, for some time; then one connection may try, and until it is known how that went all others
   * stay away: a dead endpoint delays one connection at a time.
   */
  isAvoided(nowMs: number): boolean {
    return this.#failures > 0 && (this.#connecting > 0 || nowMs < this.#avoidUntilMs);
  }

  /** Peak-EWMA of the connect time: jumps up at once, comes down slowly, also while nothing is measured. */
  latencyMs(nowMs: number): number {
    return this.#peakMs * Math.exp((this.#peakAtMs - nowMs) / LATENCY_DECAY_MS);
  }

  #failed(sinceMs: number, nowMs: number): void {
    // Attempts that were under way with the first to fail, or made for want of another, are no further failures.
    if (sinceMs >= this.#avoidUntilMs) this.#failures++;
    const avoidMs = AVOID_AFTER_FAILURE_MS * 2 ** (this.#failures - 1);
    this.#avoidUntilMs = nowMs + Math.min(avoidMs, AVOID_AT_MOST_MS);
  }

  #observe(durationMs: number, nowMs: number): void {
    const past = this.latencyMs(nowMs);
    const weight = Math.exp((this.#peakAtMs - nowMs) / LATENCY_DECAY_MS);
    this.#peakMs = durationMs > past ? durationMs : past * weight + durationMs * (1 - weight);
    this.#peakAtMs = nowMs;
  }
}

/** The loads of one Service port's endpoints. */
export class LoadBook {
  readonly #loads = new Map<string, EndpointLoad>();

  of(candidate: Candidate): EndpointLoad {
    let load = this.#loads.get(candidate.id);
    if (load === undefined) {
      load = new EndpointLoad(candidate.id);
      this.#loads.set(candidate.id, load);
    }
    return load;
  }

  /** Forgets endpoints that have left, except those whose connections are still open. */
  retain(candidates: readonly Candidate[]): void {
    const present = new Set(candidates.map((candidate) => candidate.id));
    for (const load of this.#loads.values()) {
      if (load.active === 0 && !present.has(load.id)) this.#loads.delete(load.id);
    }
  }

  get isEmpty(): boolean {
    return this.#loads.size === 0;
  }

  all(): Iterable<EndpointLoad> {
    return this.#loads.values();
  }
}
