import { networkInterfaces } from 'node:os';

/** A pod has its addresses from the start and keeps them; elsewhere some come and go. */
const BELIEVED_MS = 1_000;

/** This machine's addresses, or this pod's, asked for no more than once in a while. */
export function ownAddresses(): () => ReadonlySet<string> {
  let addresses: ReadonlySet<string> = new Set();
  let sinceMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - sinceMs >= BELIEVED_MS) {
      const infos = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
      addresses = new Set(infos.map(({ address }) => address));
      sinceMs = nowMs;
    }
    return addresses;
  };
}
