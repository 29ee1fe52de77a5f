import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Range } from '../datagram/message-headers.ts';
import type { DatagramReceiver, Datagrams, DatagramSocket } from '../datagram/socket.ts';
import type { Udp } from '../datagram/udp.ts';
import { isListenedAt } from '../forward/own-address.ts';
import type { ListenAddress, SocketAddress } from '../forward/socket-address.ts';
import type { Candidate, Destination, Routes } from '../services/decision.ts';
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
}

/** A local address whose datagrams go to a Service. */
export interface FlowListener {
  readonly address: ListenAddress;
  readonly destination: Extract<Destination, { kind: 'service' }>;
}

export type FlowsListening =
  | { readonly ok: true; readonly address: SocketAddress }
  /** An errno's name. */
  | { readonly ok: false; readonly code: string };

const TICK_MS = 1_000;
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
  readonly #timer: NodeJS.Timeout;
  #isDraining = false;
  #usedAtMs = 0;

  constructor({ routes, balancer, log, udp, limits = {} }: FlowForwarderOptions) {
    this.routes = routes;
    this.balancer = balancer;
    this.udp = udp;
    this.log = log;
    this.#limits = { ...DEFAULT_FLOW_LIMITS, ...limits };
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
    const service = this.#service(destination.service);
    // Listeners may have the same port on different addresses.
    const upstream = this.#listeners.length;
    const receiver: DatagramReceiver = {
      received: (datagrams, listener) =>
        this.#received(datagrams, { upstream, listener, destination, service }),
      failed: (reason) => {
        const fields = { service: service.name };
        service.warnings.say(this.log, {
          message: 'Could not receive or answer a datagram.',
          reason,
          fields,
        });
      },
    };
    const opened = this.udp.bind(address, receiver);
    if (!opened.ok) return opened;
    this.#listeners.push(opened.socket);
    return { ok: true, address: opened.socket.address };
  }

  isOwn(candidate: Candidate): boolean {
    return isListenedAt(
      candidate,
      this.#listeners.map(({ address }) => address),
    );
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

  #received(datagrams: Datagrams, to: Target): void {
    const nowMs = performance.now();
    // One decision for all: nothing changes the table meanwhile.
    const decision = this.routes.decide(to.destination);
    let first = 0;
    while (first < datagrams.count) {
      const key = `${to.upstream} ${datagrams.peerKey(first)}`;
      let end = first + 1;
      while (end < datagrams.count && datagrams.isSamePeer(first, end)) end++;
      const flow = this.#flows.get(key) ?? this.#open(key, { datagrams, first, nowMs, to });
      if (flow === undefined) {
        to.service.counters.dropped.shortage += end - first;
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
    to.service.lease(this.routes);
    const client = { client: datagrams.peer(first), clientAddress: datagrams.peerAddress(first) };
    const flow = new Flow({ key, ...client, ...to }, this, nowMs);
    this.#flows.add(flow);
    return flow;
  }

  #tick(): void {
    for (const flow of this.#flows.quietSince(performance.now() - this.#limits.flowIdleTimeoutMs)) {
      flow.end('idle');
    }
    for (const service of this.#services.values()) if (service.open === 0) service.release();
  }
}

interface ServiceView {
  readonly openFlows: number;
  /** `address:port` of those that have flows, and how many. */
  readonly endpoints: Readonly<Record<string, number>>;
}

interface Target {
  /** A number of its own. */
  readonly upstream: number;
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
