import type { Destination, Routes } from '../services/decision.ts';
import { TRAFFIC_DIRECTIONS, type TrafficDirection } from './origin.ts';
import { ServiceUse } from './service-use.ts';

/** Ports of the workload that are counted each on its own; a scan of all ports must not become 65,535 series. */
const MOST_INBOUND = 64;
const OTHER = 'other';

/** What the forwarder keeps for each Service, in both directions. */
export class ServiceUses {
  readonly #uses: Readonly<Record<TrafficDirection, Map<string, ServiceUse>>> = {
    outbound: new Map(),
    inbound: new Map(),
  };

  /** Outbound: `namespace/name` or one word; inbound: the workload's port. */
  of(direction: TrafficDirection, name: string): ServiceUse {
    const uses = this.#uses[direction];
    return uses.get(name) ?? this.#add(direction, name);
  }

  /** Drops those to Services that nobody has needed for long, where they are gone; counters and series go with them. */
  sweep(nowMs: number, isNoMore: (use: ServiceUse) => boolean): void {
    for (const use of this.#uses.outbound.values()) {
      if (use.isIdle(nowMs) && isNoMore(use)) this.#uses.outbound.delete(use.name);
    }
  }

  *[Symbol.iterator](): Iterator<ServiceUse> {
    for (const direction of TRAFFIC_DIRECTIONS) yield* this.#uses[direction].values();
  }

  #add(direction: TrafficDirection, name: string): ServiceUse {
    const uses = this.#uses[direction];
    const isOneTooMany = direction === 'inbound' && uses.size >= MOST_INBOUND;
    const shown = isOneTooMany ? OTHER : name;
    const use = uses.get(shown) ?? new ServiceUse(shown, direction, performance.now());
    uses.set(shown, use);
    return use;
  }
}

/** Whether this was a Service, and all of them are known, and it is none of them. */
export function isGone({ name }: ServiceUse, routes: Routes): boolean {
  // The others are words for connections that belong to no Service.
  if (!name.includes('/')) return false;
  const decision = routes.decide({ kind: 'service', service: name, port: 0, protocol: 'tcp' });
  return decision.action === 'refuse' && decision.reason === 'unknown-service';
}

/** What a connection is counted under that was refused before it was known to belong to a Service. */
export function nameOfRefused(destination: Destination): string {
  switch (destination.kind) {
    case 'service':
      return destination.service;
    case 'workload':
      return String(destination.port);
    case 'listener':
      return 'direct';
    default:
      return 'unknown';
  }
}

/** What a connection is counted under that goes where it was going. */
export function nameOfPassed(destination: Destination): string {
  return destination.kind === 'workload' ? String(destination.port) : 'pass-through';
}
