import { DEFAULT_MESSAGE_LIMITS } from './limits.ts';

/** What is held for all messages together, whoever sent it: each holder says by how much its own part changes. */
export class HeldMemory {
  bytes = 0;
  /** Beyond it nothing is held that can be done without. */
  readonly limit: number;

  constructor(limit: number = DEFAULT_MESSAGE_LIMITS.heldBytes) {
    this.limit = limit;
  }

  get isOver(): boolean {
    return this.bytes > this.limit;
  }
}
