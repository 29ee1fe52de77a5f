import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Range } from '../datagram/message-headers.ts';
import type { DatagramReceiver, Datagrams, DatagramSocket } from '../datagram/socket.ts';
import type { Udp } from '../datagram/udp.ts';
import { isListenedAt } from '../net/own-address.ts';
import { nameOfPassed, nameOfRefused } from '../forward/service-uses.ts';
import { formatAddress, type ListenAddress, type SocketAddress } from '../net/socket-address.ts';
import { RateLimitedLog } from '../../process/rate-limited-log.ts';
import type { Decision, Destination, Routes } from '../services/decision.ts';
import { Flow, type FlowSurroundings } from './flow.ts';
import { FlowTable } from './flow-table.ts';
import { DEFAULT_FLOW_LIMITS, type FlowLimits } from './limits.ts';
import { ServiceFlows } from './service-flows.ts';
import type { WaitingRoom } from './waiting.ts';

export interface FlowForwarderOptions {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly log: Logger;
  readonly udp: Udp;
  readonly limits?: Partial<FlowLimits>;
  /** Where else this sidecar listens for datagrams. */
  readonly alsoListening?: readonly SocketAddress[];
}

/** A local address whose datagrams all have one destination. */
export interface FlowListener {
  readonly address: ListenAddress;
  readonly destination: Destination;
}

export type FlowsListening =
  | { readonly ok: true; readonly address: SocketAddress }
  /** An errno's name. */
  | { readonly ok: false; readonly code: string };

const TICK_MS = 1_000;
/** Among the quietest flows for one that has a socket to give: each datagram may have to, while there are none left. */
const MOST_LOOKED_AT = 256;
/** Before the sidecar ends: how long nothing must have come for the answers to be in. */
const QUIET_MS = 250;

/** Takes datagrams and carries each flow to one endpoint of its Service, and the answers back. */
export class FlowForwarder implements FlowSurroundings {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly udp: Udp;
  readonly log: Logger;
  readonly waitingRoom: WaitingRoom = { bytes: 0 };
  readonly #limits: FlowLimits;
  readonly #flows = new FlowTable<Flow>();
  readonly #services = new Map<string, ServiceFlows>();
  readonly #listeners: DatagramSocket[] = [];
  readonly #alsoListening: readonly SocketAddress[];
  readonly #timer: NodeJS.Timeout;
  #isDraining = false;
  #usedAtMs = 0;

  constructor({ routes, balancer, log, udp, limits = {}, alsoListening = [] }: FlowForwarderOptions) {
    this.routes = routes;
    this.balancer = balancer;
    this.udp = udp;
    this.log = log;
    this.#limits = { ...DEFAULT_FLOW_LIMITS, ...limits };
    this.#alsoListening = alsoListening;
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, this.#limits.flowIdleTimeoutMs / 2));
    this.#timer.unref();
  }

  get flows(): Iterable<Flow> {
    return this.#flows;
  }

  get services(): Iterable<ServiceFlows> {
    return this.#services.values();
  }

  /** For people: how many flows each Service has, and how many of them each of its endpoints. */
  view(): Readonly<Record<string, ServiceView>> {
    const endpoints = new Map([...this.#services.keys()].map((name) => [name, new Map<string, number>()]));
    for (const { service, endpoint } of this.#flows) {
      const flows = endpoints.get(service);
      // One that has none waits for one, or has just lost it.
      if (endpoint !== '') flows?.set(endpoint, (flows.get(endpoint) ?? 0) + 1);
    }
    const view = (name: string, { open }: ServiceFlows): ServiceView => ({
      openFlows: open,
      endpoints: Object.fromEntries(endpoints.get(name) ?? []),
    });
    return Object.fromEntries([...this.#services].map(([name, flows]) => [name, view(name, flows)]));
  }

  listen({ address, destination }: FlowListener): FlowsListening {
    if (destination.kind === 'service') this.#service(destination.service);
    // Listeners may have the same port on different addresses.
    const number = this.#listeners.length;
    const warnings = new RateLimitedLog();
    const receiver: DatagramReceiver = {
      received: (datagrams, listener) => this.#received(datagrams, { number, listener, destination }),
      failed: (reason) => {
        const fields = { listener: formatAddress(address) };
        warnings.warn(this.log, { message: 'Could not receive or answer a datagram.', reason, fields });
      },
    };
    const opened = this.udp.bind(address, receiver);
    if (!opened.ok) return opened;
    this.#listeners.push(opened.socket);
    return { ok: true, address: opened.socket.address };
  }

  isOwn(address: SocketAddress): boolean {
    const listening = this.#listeners.map((listener) => listener.address);
    return isListenedAt(address, [...listening, ...this.#alsoListening]);
  }

  makeRoomFor(flow: Flow): boolean {
    let left = MOST_LOOKED_AT;
    for (const other of this.#flows) {
      if (left-- === 0) return false;
      if (other === flow || other.endpoint === '') continue;
      other.end('evicted');
      return true;
    }
    return false;
  }

  used(flow: Flow, nowMs: number): void {
    this.#usedAtMs = nowMs;
    this.#flows.used(flow, nowMs);
  }

  ended(flow: Flow): void {
    this.#flows.remove(flow);
  }

  /** Opens no more flows, waits until nothing has come for a moment, up to the limit, and closes all. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    const endMs = performance.now() + limitMs;
    while (this.#flows.size > 0 && performance.now() < Math.min(endMs, this.#usedAtMs + QUIET_MS)) {
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS / 5));
      // What came while this process had no turn is received before it is judged.
      await new Promise((resolve) => setImmediate(resolve));
    }
    clearInterval(this.#timer);
    for (const flow of this.#flows) flow.end('drained');
    for (const listener of this.#listeners) listener.close();
    for (const service of this.#services.values()) service.release();
  }

  #service(name: string): ServiceFlows {
    let service = this.#services.get(name);
    if (service === undefined) this.#services.set(name, (service = new ServiceFlows(name)));
    return service;
  }

  #received(datagrams: Datagrams, { number, listener, destination }: Source): void {
    const nowMs = performance.now();
    // One decision for all: nothing changes the table meanwhile.
    const decision = this.routes.decide(destination);
    const service = this.#service(nameOf(destination, decision));
    const to: Target = { listener, destination, service };
    let first = 0;
    while (first < datagrams.count) {
      const key = `${number} ${service.name} ${datagrams.peerKey(first)}`;
      let end = first + 1;
      while (end < datagrams.count && datagrams.isSamePeer(first, end)) end++;
      const flow = this.#flows.get(key) ?? this.#open(key, { datagrams, first, nowMs, to });
      if (flow === undefined) {
        service.counters.dropped.shortage += end - first;
      } else {
        this.used(flow, nowMs);
        flow.sent(datagrams, { first, end }, decision);
      }
      first = end;
    }
  }

  #open(key: string, { datagrams, first, nowMs, to }: Opening): Flow | undefined {
    if (this.#isDraining) return undefined;
    if (this.#flows.size >= this.#limits.maxFlows) this.#flows.quietest?.end('evicted');
    if (to.service.isService) to.service.lease(this.routes);
    const client = { client: datagrams.peer(first), clientAddress: datagrams.peerAddress(first) };
    const flow = new Flow({ key, ...client, ...to }, this, nowMs);
    this.#flows.add(flow);
    return flow;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const flow of this.#flows.quietSince(nowMs - this.#limits.flowIdleTimeoutMs)) flow.end('idle');
    for (const flow of this.#flows) flow.tick(nowMs);
    for (const service of this.#services.values()) if (service.open === 0) service.release();
  }
}

interface ServiceView {
  readonly openFlows: number;
  /** `address:port` of those that have flows, and how many. */
  readonly endpoints: Readonly<Record<string, number>>;
}

/** What a flow is counted under. */
function nameOf(destination: Destination, decision: Decision): string {
  if (destination.kind === 'service') return destination.service;
  if (decision.action === 'balance') return decision.group.service.key;
  const otherwise = decision.action === 'pass-through' ? nameOfPassed : nameOfRefused;
  return decision.service ?? otherwise(destination);
}

interface Source {
  /** Of the listener. */
  readonly number: number;
  readonly listener: DatagramSocket;
  readonly destination: Destination;
}

interface Target {
  readonly listener: DatagramSocket;
  readonly destination: Destination;
  readonly service: ServiceFlows;
}

interface Opening {
  readonly datagrams: Datagrams;
  readonly first: Range['first'];
  readonly nowMs: number;
  readonly to: Target;
}
