import { type Contender, type PickRequest, isFirstChoice } from './contender.ts';
import type { Picker } from './picker.ts';

/**
 * Beyond this many clients the one not seen for longest is forgotten. It usually loses nothing: consistent
 * hashing gives it the same endpoint again unless endpoints were added.
 */
const REMEMBERED_CLIENTS = 10_000;

/** Which client last had which endpoint, for one Service port. Lives beside the pickers, as loads do. */
export class AffinityBook {
  readonly #endpoints = new Map<string, { readonly id: string; readonly untilMs: number }>();

  #liveUntilMs = Number.NEGATIVE_INFINITY;

  /** Whether any client is still to be kept where it was. */
  isLive(nowMs: number): boolean {
    return nowMs < this.#liveUntilMs;
  }

  endpointOf(client: string, nowMs: number): string | undefined {
    const entry = this.#endpoints.get(client);
    return entry !== undefined && nowMs < entry.untilMs ? entry.id : undefined;
  }

  remember(client: string, id: string, untilMs: number): void {
    // Deleting first moves the client to the end: a Map is then ordered by who was seen last.
    this.#endpoints.delete(client);
    this.#endpoints.set(client, { id, untilMs });
    this.#liveUntilMs = Math.max(this.#liveUntilMs, untilMs);
    if (this.#endpoints.size <= REMEMBERED_CLIENTS) return;
    for (const oldest of this.#endpoints.keys()) {
      this.#endpoints.delete(oldest);
      return;
    }
  }

  get size(): number {
    return this.#endpoints.size;
  }
}

/**
 * Kubernetes' `sessionAffinity: ClientIP`: a client keeps its endpoint until `timeoutMs` after its last
 * connection, also when endpoints are added; it moves when its endpoint leaves or does not answer.
 */
export class AffinityPicker implements Picker {
  readonly #inner: Picker;
  readonly #contenders: ReadonlyMap<string, Contender>;
  readonly #book: AffinityBook;
  readonly #timeoutMs: number;

  constructor(inner: Picker, contenders: readonly Contender[], book: AffinityBook, timeoutMs: number) {
    this.#inner = inner;
    this.#contenders = new Map(contenders.map((contender) => [contender.candidate.id, contender]));
    this.#book = book;
    this.#timeoutMs = timeoutMs;
  }

  pick(request: PickRequest, nowMs: number): Contender | undefined {
    const client = request.clientAddress;
    const chosen = this.#kept(request, nowMs) ?? this.#inner.pick(request, nowMs);
    if (chosen !== undefined) this.#book.remember(client, chosen.candidate.id, nowMs + this.#timeoutMs);
    return chosen;
  }

  #kept(request: PickRequest, nowMs: number): Contender | undefined {
    const contender = this.#contenders.get(this.#book.endpointOf(request.clientAddress, nowMs) ?? '');
    return contender && isFirstChoice(contender, request, nowMs) ? contender : undefined;
  }
}
