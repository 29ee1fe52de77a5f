import { networkInterfaces } from 'node:os';

/** A pod has its addresses from the start and keeps them; elsewhere some come and go. */
const BELIEVED_MS = 1_000;

/**
 * This machine's addresses, or this pod's, asked for no more than once in a while. The same object while they are the
 * same, so that what was computed from them can be kept.
 */
export function ownAddresses(): () => ReadonlySet<string> {
  let addresses: ReadonlySet<string> = new Set();
  let sinceMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - sinceMs >= BELIEVED_MS) {
      const infos = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
      const now = new Set(infos.map(({ address }) => address));
      if (now.symmetricDifference(addresses).size > 0) addresses = now;
      sinceMs = nowMs;
    }
    return addresses;
  };
}
