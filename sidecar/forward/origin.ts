import type { LocalPorts } from '../net/socket-address.ts';

/** Which way a connection goes, seen from the workload: made by it or to it. */
export type TrafficDirection = 'outbound' | 'inbound';

export const TRAFFIC_DIRECTIONS: readonly TrafficDirection[] = ['outbound', 'inbound'];

/** What all connections of one listener have in common. */
export interface Origin {
  readonly direction: TrafficDirection;
  /**
   * Whoever made it knows nothing of the sidecar and counts on what the network grants: it may rest for as long
   * as both ends are there.
   */
  readonly isIntercepted: boolean;
  /** Whether more are taken while the sidecar drains: a workload that is ending still has things to say. */
  readonly outlivesDrain: boolean;
  /** From where to connect to an address; undefined, or where it answers so: from wherever the kernel likes. */
  readonly localPortsFor?: (address: string) => LocalPorts | undefined;
}

/** Somebody connects to an address of the sidecar's own, on purpose. */
export const UPSTREAM: Origin = { direction: 'outbound', isIntercepted: false, outlivesDrain: false };
