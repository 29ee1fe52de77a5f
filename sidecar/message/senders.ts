import type { Session } from './session.ts';

/** The connections of all who send, by the addresses that they come from. */
export class Senders {
  readonly #byAddress = new Map<string, Set<Session>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  *[Symbol.iterator](): Generator<Session> {
    for (const sessions of this.#byAddress.values()) yield* sessions;
  }

  add(session: Session): void {
    const sessions = this.#byAddress.get(session.from);
    if (sessions === undefined) this.#byAddress.set(session.from, new Set([session]));
    else sessions.add(session);
    this.#size++;
  }

  delete(session: Session): void {
    const sessions = this.#byAddress.get(session.from);
    if (sessions?.delete(session) !== true) return;
    if (sessions.size === 0) this.#byAddress.delete(session.from);
    this.#size--;
  }

  /** Those that hold a line that has begun: where more of it is awaited before others, and the longest first. */
  byBegunLine(): Session[] {
    return [...this]
      .filter(({ begunBytes }) => begunBytes > 0)
      .toSorted((a, b) => Number(b.isReading) - Number(a.isReading) || b.begunBytes - a.begunBytes);
  }

  /**
   * The one that can make room for one more from an address: of the address that has most, the one that has rested
   * for longest. None where no other address has more than this one.
   */
  spareFor(address: string): Session | undefined {
    let most = this.#byAddress.get(address)?.size ?? 0;
    let ofMost: Iterable<Session> = [];
    for (const sessions of this.#byAddress.values()) {
      if (sessions.size <= most) continue;
      most = sessions.size;
      ofMost = sessions;
    }
    let spare: Session | undefined;
    for (const session of ofMost) {
      if (session.restsSinceMs < (spare?.restsSinceMs ?? Number.POSITIVE_INFINITY)) spare = session;
    }
    return spare;
  }
}
