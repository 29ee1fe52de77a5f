const FIRST_MS = 1000;
/**
 * So long, and for as long as an attempt takes that was under way, a table may be out of date once a control plane is back.
 * The sidecars of a mesh of 10,000 then come as fast as it admits streams by default, its burst included.
 */
const LONGEST_MS = 10_000;

/**
 * How long to wait before connecting again: exponential with full jitter, so that the sidecars of a mesh
 * which lost one control plane do not meet again at the next. Doubles once all addresses have had their turn.
 * `failures` counts from 1; `random` is in [0, 1).
 */
export function reconnectDelayMs(failures: number, addresses: number, random: number): number {
  const rounds = Math.floor((failures - 1) / addresses);
  return random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(rounds, 30));
}
