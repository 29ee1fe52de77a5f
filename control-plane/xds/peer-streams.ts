/** Counts the streams that each peer address has open, so that one peer cannot have them all. */
export class PeerStreams {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False: this peer has as many as it may. */
  opened(peer: string): boolean {
    const host = hostOf(peer);
    const open = this.#open.get(host) ?? 0;
    if (open >= this.#most) return false;
    this.#open.set(host, open + 1);
    return true;
  }

  closed(peer: string): void {
    const host = hostOf(peer);
    const open = (this.#open.get(host) ?? 0) - 1;
    if (open > 0) this.#open.set(host, open);
    else this.#open.delete(host);
  }
}

/** A peer is `address:port`, and each of its connections has a port of its own. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}
