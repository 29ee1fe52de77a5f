import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Routes } from '../services/decision.ts';
import type { ConnectTimes } from './counters.ts';
import type { CopyResources } from './direction.ts';
import type { Limits } from './limits.ts';
import type { TrafficDirection } from './origin.ts';
import type { ServiceUse } from './service-use.ts';
import type { SocketAddress } from '../net/socket-address.ts';

/** What all connections of one forwarder share. */
export interface Surroundings extends CopyResources {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly limits: Limits;
  readonly connectTimes: Readonly<Record<TrafficDirection, ConnectTimes>>;
  readonly log: Logger;
  /** Whether the sidecar was told to end: its workload has ended, or is about to. */
  readonly isDraining: boolean;
  /** Whether a connection to this address would come back to this sidecar. */
  isOwn(address: SocketAddress): boolean;
  serviceUse(name: string, direction: TrafficDirection): ServiceUse;
}
