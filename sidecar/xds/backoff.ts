const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/**
 * How long to wait before connecting again: exponential with full jitter, so that the sidecars of a mesh
 * which lost one control plane do not meet again at the next. Doubles once all addresses have had their turn.
 * `failures` counts from 1; `random` is in [0, 1).
 */
export function reconnectDelayMs(failures: number, addresses: number, random: number): number {
  const rounds = Math.floor((failures - 1) / addresses);
  return random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(rounds, 30));
}
