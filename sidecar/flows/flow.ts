import type { Fields, Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Contender, PickRequest } from '../balance/contender.ts';
import type { EndpointLoad } from '../balance/load.ts';
import type { Range } from '../datagram/message-headers.ts';
import type { DatagramReceiver, Datagrams, DatagramSocket, Peer } from '../datagram/socket.ts';
import type { Udp } from '../datagram/udp.ts';
import { shortageOf } from '../forward/outcome.ts';
import { formatAddress, type SocketAddress, unmapped } from '../net/socket-address.ts';
import type { Decision, Destination, EndpointGroup, Routes } from '../services/decision.ts';
import { Backend } from './backend.ts';
import type { FlowEnding, Loss } from './counters.ts';
import type { Used } from './flow-table.ts';
import type { ServiceFlows } from './service-flows.ts';
import { Waiting, type WaitingRoom } from './waiting.ts';

const NONE: ReadonlySet<string> = new Set();

/**
 * Too long for the way (also told by an ICMP message of a router), or no memory for it: that says nothing of the
 * endpoint, and would be the same with another.
 */
const OF_ONE_DATAGRAM: ReadonlySet<string> = new Set(['EMSGSIZE', 'ENOBUFS', 'ENOMEM']);

/** Of file descriptors, or of ports: a flow that ends gives one back. */
const GIVEN_BACK: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRINUSE', 'EAGAIN']);

/** How many endpoints are tried for one datagram, where it is known at once that there is no way to them. */
const MOST_ATTEMPTS = 3;

/** What all flows share. */
export interface FlowSurroundings {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly udp: Udp;
  readonly log: Logger;
  readonly waitingRoom: WaitingRoom;
  /** Whether that is where this sidecar itself listens: datagrams would go round for ever. */
  isOwn(address: SocketAddress): boolean;
  /** Ends another flow that has a socket; false where there is none. */
  makeRoomFor(flow: Flow): boolean;
  used(flow: Flow, nowMs: number): void;
  ended(flow: Flow): void;
}

/** Who sends, and through which listener. */
export interface FlowOrigin {
  readonly key: string;
  readonly client: Peer;
  readonly clientAddress: SocketAddress;
  readonly listener: DatagramSocket;
  readonly destination: Destination;
  readonly service: ServiceFlows;
}

/**
 * What one client's address sends to one upstream, and what comes back. It stays with its endpoint for as long as
 * that is one of the Service's and does not refuse: what it said before may be what it counts on.
 */
export class Flow implements Used, DatagramReceiver, PickRequest {
  readonly key: string;
  readonly clientAddress: string;
  usedAtMs: number;
  placedAtMs: number;
  exclude: ReadonlySet<string> = NONE;
  readonly #origin: FlowOrigin;
  readonly #around: FlowSurroundings;
  readonly #waiting: Waiting;
  #group: EndpointGroup | undefined;
  #backend: Backend | undefined;
  #isLoading = false;
  #hasEnded = false;

  constructor(origin: FlowOrigin, around: FlowSurroundings, nowMs: number) {
    this.key = origin.key;
    this.clientAddress = unmapped(origin.clientAddress.address);
    this.usedAtMs = nowMs;
    this.placedAtMs = nowMs;
    this.#origin = origin;
    this.#around = around;
    this.#waiting = new Waiting(around.waitingRoom);
    origin.service.opened();
  }

  get service(): string {
    return this.#origin.service.name;
  }

  /** Empty while it has none. */
  get endpoint(): string {
    return this.#backend?.id ?? '';
  }

  /** What the client has sent, as it is being received. */
  sent(datagrams: Datagrams, range: Range, decision: Decision): void {
    const { counters } = this.#origin.service;
    const backend = this.#follow(decision);
    if (typeof backend === 'string') {
      const isKept = backend === 'waiting';
      this.#lost(backend, isKept ? this.#waiting.add(datagrams, range) : range.end - range.first);
      return;
    }
    counters.sentDatagrams += range.end - range.first;
    for (let index = range.first; index < range.end; index++) {
      counters.sentBytes += datagrams.end(index) - datagrams.start(index);
    }
    backend.socket.forward(range);
    this.#lost('send-failed', backend.takeDropped());
  }

  /** What its endpoint has answered. */
  received(datagrams: Datagrams): void {
    const backend = this.#backend;
    if (backend === undefined) return;
    const { listener, client, service } = this.#origin;
    const nowMs = performance.now();
    backend.answered(nowMs);
    this.exclude = NONE;
    this.#around.used(this, nowMs);
    service.counters.receivedDatagrams += datagrams.count;
    for (let index = 0; index < datagrams.count; index++) {
      service.counters.receivedBytes += datagrams.end(index) - datagrams.start(index);
    }
    const before = listener.droppedCount;
    listener.forward({ first: 0, end: datagrams.count }, client);
    this.#lost('send-failed', listener.droppedCount - before);
  }

  /** Where the endpoint, or the network on the way to it, refuses: the next datagram goes to another one. */
  failed(code: string): void {
    const backend = this.#backend;
    if (backend === undefined) return;
    const isRefused = !OF_ONE_DATAGRAM.has(code);
    this.#warn(isRefused ? 'An endpoint refused a datagram.' : 'Could not send a datagram.', code, {
      endpoint: backend.id,
    });
    if (!isRefused) return;
    this.#origin.service.counters.refused++;
    this.#exclude(backend.id);
    this.#leave(backend, 'refused');
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    this.#backend?.tick(nowMs);
  }

  /** For good. Nothing is said to either side: UDP has no word for it. */
  end(ending: FlowEnding): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#lost('waiting', this.#waiting.take().length);
    this.#backend?.close('left');
    this.#backend = undefined;
    this.#origin.service.counters.closed[ending]++;
    this.#origin.service.closed();
    this.#around.ended(this);
  }

  /** Keeps the backend that it has while that is one that may be chosen. Why it has none, where it has none. */
  #follow(decision: Decision): Backend | Loss {
    switch (decision.action) {
      case 'balance':
        return this.#followGroup(decision.group);
      case 'pass-through':
        return this.#followAddress(decision);
      case 'load':
        if (this.#backend === undefined) void this.#load();
        return this.#backend ?? 'waiting';
      default:
        return this.#refuse(decision.reason, decision.detail);
    }
  }

  #followGroup(group: EndpointGroup): Backend | Loss {
    const backend = this.#backend;
    const isSame = this.#group === group;
    this.#group = group;
    if (backend !== undefined) {
      if (isSame || group.candidates.some(({ id }) => id === backend.id)) return backend;
      this.#leave(backend, 'left');
    }
    return this.#connectToOneOf(group);
  }

  /** Nobody chooses: it goes where it was going. */
  #followAddress(address: SocketAddress): Backend | Loss {
    const id = formatAddress(address);
    const backend = this.#backend;
    this.#group = undefined;
    if (backend?.id === id) return backend;
    if (backend !== undefined) this.#leave(backend, 'left');
    if (this.#around.isOwn(address))
      return this.#refuse('itself', `${id} is where this sidecar itself listens.`);
    return this.#connect(id, address);
  }

  #connectToOneOf(group: EndpointGroup): Backend | Loss {
    let contender = this.#pickForeign(group);
    if (contender === undefined && this.exclude !== NONE) {
      // Once all have refused it is from the beginning: one of them may be there again.
      this.exclude = NONE;
      contender = this.#pickForeign(group);
    }
    for (let attempt = 1; contender !== undefined; attempt++) {
      const { candidate, load } = contender;
      const backend = this.#connect(candidate.id, candidate, load);
      if (backend !== 'no-endpoint' || attempt === MOST_ATTEMPTS) return backend;
      contender = this.#pickForeign(group);
    }
    return 'no-endpoint';
  }

  #pickForeign(group: EndpointGroup): Contender | undefined {
    for (;;) {
      const contender = this.#around.balancer.pick(group, this, performance.now());
      if (contender === undefined || !this.#around.isOwn(contender.candidate)) return contender;
      const { id } = contender.candidate;
      const detail = `${id} is where this sidecar itself listens: correct the Service's EndpointSlice.`;
      this.#warn('Passed over an endpoint.', 'itself', { detail });
      this.#exclude(id);
    }
  }

  #connect(id: string, address: SocketAddress, load?: EndpointLoad): Backend | Loss {
    const { udp } = this.#around;
    let opened = udp.connect(address, this);
    if (!opened.ok && GIVEN_BACK.has(opened.code) && this.#around.makeRoomFor(this)) {
      opened = udp.connect(address, this);
    }
    if (opened.ok) {
      this.#backend = new Backend(id, opened.socket, load);
      this.#sendWaiting(this.#backend);
      return this.#backend;
    }
    const { code } = opened;
    this.#warn('Could not open a socket for a flow.', code, { endpoint: id });
    if (GIVEN_BACK.has(code) || shortageOf(code) !== undefined) return 'shortage';
    // There is no way to it from here.
    load?.connectStarted();
    load?.connectFailed(0, performance.now());
    this.#exclude(id);
    return 'no-endpoint';
  }

  #sendWaiting(backend: Backend): void {
    const { counters } = this.#origin.service;
    const waiting = this.#waiting.take();
    if (waiting.length === 0) return;
    for (const bytes of waiting) {
      counters.sentDatagrams++;
      counters.sentBytes += bytes.length;
      backend.socket.send(bytes);
    }
    // They leave with this turn.
    queueMicrotask(() => this.#lost('send-failed', backend.takeDropped()));
  }

  #leave(backend: Backend, why: 'refused' | 'left'): void {
    this.#backend = undefined;
    backend.close(why);
    this.#origin.service.counters.moved++;
  }

  async #load(): Promise<void> {
    const { service, destination } = this.#origin;
    if (this.#isLoading) return;
    this.#isLoading = true;
    await service.lease(this.#around.routes).known;
    this.#isLoading = false;
    if (this.#hasEnded) return;
    const decision = this.#around.routes.decide(destination);
    // Waiting is over, one way or the other: the next datagram may begin it anew.
    const backend = decision.action === 'load' ? 'waiting' : this.#follow(decision);
    if (typeof backend === 'string') this.#lost(backend, this.#waiting.take().length);
  }

  #refuse(reason: string, detail: string): Loss {
    if (this.#backend !== undefined) this.#leave(this.#backend, 'left');
    this.#warn('Dropped datagrams.', reason, { detail });
    return 'no-endpoint';
  }

  #exclude(id: string): void {
    this.exclude = new Set([...this.exclude, id]);
  }

  #warn(message: string, reason: string, fields: Fields): void {
    const { service } = this.#origin;
    service.warnings.warn(this.#around.log, {
      message,
      reason,
      fields: { service: service.name, ...fields },
    });
  }

  #lost(reason: Loss, count: number): void {
    if (count > 0) this.#origin.service.counters.dropped[reason] += count;
  }
}
