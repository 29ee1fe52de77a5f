import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { PickRequest } from '../balance/contender.ts';
import type { EndpointLoad } from '../balance/load.ts';
import type { Range } from '../datagram/message-headers.ts';
import type { DatagramReceiver, Datagrams, DatagramSocket, Peer } from '../datagram/socket.ts';
import type { Udp } from '../datagram/udp.ts';
import type { SocketAddress } from '../forward/socket-address.ts';
import type { Candidate, Decision, Destination, EndpointGroup, Routes } from '../services/decision.ts';
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

/** What all flows share. */
export interface FlowSurroundings {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly udp: Udp;
  readonly log: Logger;
  readonly waitingRoom: WaitingRoom;
  /** Whether that is where this sidecar itself listens: datagrams would go round for ever. */
  isOwn(candidate: Candidate): boolean;
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

/** The endpoint that a flow has. */
interface Backend {
  readonly candidate: Candidate;
  readonly socket: DatagramSocket;
  readonly load: EndpointLoad;
  readonly sinceMs: number;
  /** Something came back: it is there. */
  hasAnswered: boolean;
}

/**
 * What one client's address sends to one upstream, and what comes back. It stays with its endpoint for as long as
 * that is one of the Service's and does not refuse: what it said before may be what it counts on.
 */
export class Flow implements Used, DatagramReceiver, PickRequest {
  readonly key: string;
  readonly client: SocketAddress;
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
    this.client = origin.clientAddress;
    this.usedAtMs = nowMs;
    this.placedAtMs = nowMs;
    this.#origin = origin;
    this.#around = around;
    this.#waiting = new Waiting(around.waitingRoom);
    origin.service.opened();
  }

  get clientAddress(): string {
    return this.client.address;
  }

  get service(): string {
    return this.#origin.service.name;
  }

  /** Empty while it has none. */
  get endpoint(): string {
    return this.#backend?.candidate.id ?? '';
  }

  /** What the client has sent, as it is being received. */
  sent(datagrams: Datagrams, range: Range, decision: Decision): void {
    const { counters } = this.#origin.service;
    this.#follow(decision);
    const backend = this.#backend;
    if (backend === undefined) {
      if (this.#isLoading) this.#lost('waiting', this.#waiting.add(datagrams, range));
      else this.#lost('no-endpoint', range.end - range.first);
      return;
    }
    counters.sentDatagrams += range.end - range.first;
    for (let index = range.first; index < range.end; index++) {
      counters.sentBytes += datagrams.end(index) - datagrams.start(index);
    }
    const before = backend.socket.droppedCount;
    backend.socket.forward(range);
    this.#lost('send-failed', backend.socket.droppedCount - before);
  }

  /** What its endpoint has answered. */
  received(datagrams: Datagrams): void {
    const backend = this.#backend;
    if (backend === undefined) return;
    const { listener, client, service } = this.#origin;
    const nowMs = performance.now();
    if (!backend.hasAnswered) {
      backend.hasAnswered = true;
      backend.load.connectSucceeded(nowMs - backend.sinceMs, nowMs);
      this.exclude = NONE;
    }
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
    const { service } = this.#origin;
    const isRefused = !OF_ONE_DATAGRAM.has(code);
    const fields = { service: service.name, endpoint: backend.candidate.id };
    const message = isRefused ? 'An endpoint refused a datagram.' : 'Could not send a datagram.';
    service.warnings.say(this.#around.log, { message, reason: code, fields });
    if (!isRefused) return;
    service.counters.refused++;
    this.exclude = new Set([...this.exclude, backend.candidate.id]);
    this.#leave(backend, 'refused');
  }

  /** For good. Nothing is said to either side: UDP has no word for it. */
  end(ending: FlowEnding): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#lost('waiting', this.#waiting.take().length);
    if (this.#backend !== undefined) this.#leave(this.#backend, 'ended');
    this.#origin.service.counters.closed[ending]++;
    this.#origin.service.closed();
    this.#around.ended(this);
  }

  /** Keeps the endpoint that it has while that is one of those that may be chosen. */
  #follow(decision: Decision): void {
    if (decision.action === 'balance') this.#followGroup(decision.group);
    else if (decision.action === 'load') void this.#load();
    else if (decision.action === 'refuse') this.#refuse(decision.reason, decision.detail);
  }

  #followGroup(group: EndpointGroup): void {
    if (this.#group === group && this.#backend !== undefined) return;
    this.#group = group;
    const backend = this.#backend;
    if (backend !== undefined) {
      if (group.candidates.some(({ id }) => id === backend.candidate.id)) return;
      this.#leave(backend, 'gone');
    }
    this.#connect(group);
  }

  #connect(group: EndpointGroup): void {
    const nowMs = performance.now();
    let contender = this.#around.balancer.pick(group, this, nowMs);
    if (contender === undefined) {
      // All have refused: from the beginning, one of them may be there again.
      this.exclude = NONE;
      contender = this.#around.balancer.pick(group, this, nowMs);
    }
    if (contender === undefined) return;
    const { candidate, load } = contender;
    if (this.#around.isOwn(candidate)) {
      this.#refuse(
        'itself',
        `${candidate.id} is where this sidecar itself listens: correct the Service's EndpointSlice.`,
      );
      return;
    }
    const opened = this.#around.udp.connect(candidate, this);
    if (!opened.ok) {
      this.#shortage(opened.code);
      return;
    }
    load.connectStarted();
    this.#backend = { candidate, load, socket: opened.socket, sinceMs: nowMs, hasAnswered: false };
    this.#sendWaiting(opened.socket);
  }

  #sendWaiting(socket: DatagramSocket): void {
    const { counters } = this.#origin.service;
    for (const bytes of this.#waiting.take()) {
      counters.sentDatagrams++;
      counters.sentBytes += bytes.length;
      socket.send(bytes);
    }
  }

  #leave({ socket, load, sinceMs, hasAnswered }: Backend, why: 'refused' | 'gone' | 'ended'): void {
    this.#backend = undefined;
    socket.close();
    if (why !== 'ended') this.#origin.service.counters.moved++;
    const nowMs = performance.now();
    if (hasAnswered) load.closed();
    else if (why === 'refused') load.connectFailed(nowMs - sinceMs, nowMs);
    else load.connectAbandoned();
  }

  async #load(): Promise<void> {
    const { service, destination } = this.#origin;
    if (this.#isLoading || this.#backend !== undefined) return;
    this.#isLoading = true;
    await service.lease(this.#around.routes).known;
    this.#isLoading = false;
    if (this.#hasEnded) return;
    this.#follow(this.#around.routes.decide(destination));
    this.#lost('no-endpoint', this.#waiting.take().length);
  }

  #refuse(reason: string, detail: string): void {
    const { service } = this.#origin;
    if (this.#backend !== undefined) this.#leave(this.#backend, 'gone');
    const fields = { service: service.name, detail };
    service.warnings.say(this.#around.log, { message: 'Dropped datagrams.', reason, fields });
  }

  #shortage(code: string): void {
    const { service } = this.#origin;
    const fields = { service: service.name };
    const message = 'Could not open a socket for a flow.';
    service.warnings.say(this.#around.log, { message, reason: code, fields });
  }

  #lost(reason: Loss, count: number): void {
    if (count > 0) this.#origin.service.counters.dropped[reason] += count;
  }
}
