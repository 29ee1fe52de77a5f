import { DEFAULT_MESSAGE_LIMITS } from './limits.ts';

/** Whoever holds something that can be done without. */
export interface SpareHolder {
  drop(): void;
}

/** What is held for all messages together, whoever sent it: each holder says by how much its own part changes. */
export class HeldMemory {
  bytes = 0;
  /** Beyond it nothing is held that can be done without. */
  readonly limit: number;
  /** Who can do without something, in the order in which they are to drop it. */
  spares: () => Iterable<SpareHolder> = () => [];

  constructor(limit: number = DEFAULT_MESSAGE_LIMITS.heldBytes) {
    this.limit = limit;
  }

  /** Whether there is room for so many bytes more, once what can be done without is dropped for want of it. */
  makeRoom(bytes: number): boolean {
    const hasRoom = (): boolean => this.bytes + bytes <= this.limit;
    if (hasRoom()) return true;
    for (const holder of this.spares()) {
      holder.drop();
      if (hasRoom()) return true;
    }
    return false;
  }
}
