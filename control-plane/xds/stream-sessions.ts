import type { Referred, References } from './references.ts';
import type { Content } from './target.ts';
import type { TypeSession } from './type-session.ts';

/** So many responses may refer to a type before the client asks for it; what older ones refer to is forgotten. */
const MOST_EARLY = 64;

/** The resource types of one stream, in the order in which changes to several of them are sent. */
export class StreamSessions {
  readonly #rank: (typeUrl: string) => number;
  readonly #references: References;
  readonly #sessions: TypeSession[] = [];
  /** Names that have to follow what was sent, of types that the client did not ask for yet. */
  #early: Referred[] = [];

  constructor(rank: (typeUrl: string) => number, references: References) {
    this.#rank = rank;
    this.#references = references;
  }

  get all(): readonly TypeSession[] {
    return this.#sessions;
  }

  find(typeUrl: string): TypeSession | undefined {
    for (const session of this.#sessions) if (session.typeUrl === typeUrl) return session;
    return undefined;
  }

  add(session: TypeSession): void {
    // A client that comes back claims what it held before it received what was sent on this stream so far.
    for (const { typeUrl, names } of this.#early) if (typeUrl === session.typeUrl) session.follow(names);
    this.#early = this.#early.filter(({ typeUrl }) => typeUrl !== session.typeUrl);
    this.#sessions.push(session);
    this.#sessions.sort((one, other) => this.#rank(one.typeUrl) - this.#rank(other.typeUrl));
  }

  /**
   * What to write next. Where several types are behind, all additions come first, in the types' order, and
   * then the removals in the opposite order, so that nothing is gone while something still refers to it. With
   * `withoutRemovals`, the removals wait.
   */
  next(withoutRemovals: boolean): { readonly session: TypeSession; readonly content: Content } | undefined {
    if (this.isLevel()) return undefined;
    const behind = this.#sessions.filter((session) => !session.isLevel());
    if (behind.length > 1 || withoutRemovals) {
      for (const session of behind) {
        const content = session.advance(true);
        if (content !== undefined) return { session, content };
      }
    }
    if (withoutRemovals) return undefined;
    for (const session of behind.toReversed()) {
      const content = session.advance(false);
      if (content !== undefined) return { session, content };
    }
    return undefined;
  }

  /** Makes due what the resources that this session sent last refer to. */
  sent({ typeUrl, changed }: TypeSession): void {
    for (const referred of this.#references.referredBy(typeUrl, changed)) {
      const session = this.find(referred.typeUrl);
      if (session === undefined) this.#early = [...this.#early, referred].slice(-MOST_EARLY);
      else session.follow(referred.names);
    }
  }

  isLevel(): boolean {
    for (const session of this.#sessions) if (!session.isLevel()) return false;
    return true;
  }
}
