import type { PickRequest } from '../balance/contender.ts';
import type { EndpointLoad } from '../balance/load.ts';
import type { Decision, Destination, EndpointGroup } from '../services/decision.ts';
import type { Direction, DirectionOwner } from './direction.ts';
import { type Breakage, Exchange } from './exchange.ts';
import { connectLimitMs, keepAliveWithin } from './limits.ts';
import type { Origin, TrafficDirection } from './origin.ts';
import { connectFailureOf, type Ending, type Outcome, type Refusal, shortageOf } from './outcome.ts';
import type { ServiceUse } from './service-use.ts';
import { nameOfPassed, nameOfRefused } from './service-uses.ts';
import { formatAddress, type SocketAddress, unmapped } from '../net/socket-address.ts';
import type { Surroundings } from './surroundings.ts';
import { type ConnectWaiter, connectTcp, type TcpStream } from '../net/tcp.ts';

const NONE: ReadonlySet<string> = new Set();

/** The forwarder that accepted a connection. */
export type ConnectionHost = Surroundings & { ended(connection: Connection): void };

/**
 * One accepted connection from its decision to its end. Nothing is read from the client until an endpoint has
 * answered, which is what makes it safe to try another.
 */
export class Connection implements ConnectWaiter, DirectionOwner, PickRequest {
  exclude: ReadonlySet<string> = NONE;
  readonly #client: TcpStream;
  readonly #destination: Destination;
  readonly #origin: Origin;
  readonly #around: ConnectionHost;
  readonly #startedAtMs = performance.now();
  #service: ServiceUse | undefined;
  #backend: TcpStream | undefined;
  #load: EndpointLoad | undefined;
  #endpoint = '';
  /** To the address of its Service, where kube-proxy chooses; it was at some time, at least. */
  #isPassedThrough = false;
  /** What the last attempt failed with, as a sentence. */
  #failure = '';
  #attempts = 0;
  /** So many may be made in all. */
  #mostAttempts: number;
  #attemptedAtMs = 0;
  #exchange: Exchange | undefined;
  #closedFirst: Outcome['closedFirst'] | undefined;
  #hasEnded = false;

  constructor(client: TcpStream, destination: Destination, origin: Origin, around: ConnectionHost) {
    this.#client = client;
    this.#destination = destination;
    this.#origin = origin;
    this.#around = around;
    this.#mostAttempts = around.limits.connectAttempts;
  }

  get clientAddress(): string {
    return unmapped(this.#client.remoteAddress()?.address ?? '');
  }

  get direction(): TrafficDirection {
    return this.#origin.direction;
  }

  /** Empty until it is decided. */
  get service(): string {
    return this.#service?.name ?? '';
  }

  get sentBytes(): number {
    return this.#exchange?.sending.bytes ?? 0;
  }

  get receivedBytes(): number {
    return this.#exchange?.receiving.bytes ?? 0;
  }

  /** And again after an attempt that failed: somebody may be known by now who was not. */
  start(): void {
    const decision = this.#around.routes.decide(this.#destination);
    if (decision.action === 'load') void this.#awaitEndpoints(this.#belongTo(decision.service));
    else this.#perform(decision);
  }

  /** Called now and then, so that no connection needs a timer of its own. */
  tick(nowMs: number): void {
    if (this.#exchange === undefined) this.#tickConnecting(nowMs);
    else this.#tickQuiet(this.#exchange, nowMs);
  }

  /** Resets the client: fast, and not to be taken for an answer. */
  refuse(reason: Refusal, detail: string): void {
    const service = this.#belongTo(nameOfRefused(this.#destination));
    service.warn(this.#around.log, { message: 'Refused a connection.', reason, fields: { detail } });
    this.abort(reason, detail);
  }

  /** Resets both sides. */
  abort(ending: Ending, detail = ''): void {
    if (this.#hasEnded) return;
    this.#client.reset();
    this.#backend?.reset();
    this.#end(ending, detail);
  }

  connected(backend: TcpStream): void {
    const nowMs = performance.now();
    const durationMs = nowMs - this.#attemptedAtMs;
    this.#load?.connectSucceeded(durationMs, nowMs);
    this.#around.connectTimes[this.#origin.direction].observe(durationMs / 1000);
    this.#exchange = new Exchange(this.#client, backend, this.#around, this);
    this.#exchange.start(nowMs);
  }

  connectFailed(code: string): void {
    const service = this.#service;
    if (service === undefined) return;
    this.#backend?.close();
    this.#backend = undefined;
    service.counters.connectFailures[connectFailureOf(code)]++;
    const shortage = shortageOf(code);
    if (shortage === undefined) this.#endpointFailed(service, code);
    else this.refuse('local-shortage', shortage);
  }

  directionEnded(direction: Direction): void {
    const exchange = this.#exchange;
    if (this.#hasEnded || exchange === undefined) return;
    const isSending = direction === exchange.sending;
    this.#closedFirst ??= isSending ? 'client' : 'backend';
    const other = isSending ? exchange.receiving : exchange.sending;
    if (exchange.breakage !== undefined) this.#breakOff(exchange.breakage);
    else if (other.hasEnded) this.#close('complete');
    else (isSending ? this.#backend : this.#client)?.shutdown();
  }

  sourceFailed(direction: Direction, code: string): void {
    this.#breakOff(this.#exchange?.sourceFailed(direction, code));
  }

  sinkFailed(direction: Direction, code: string): void {
    this.#breakOff(this.#exchange?.sinkFailed(direction, code));
  }

  #breakOff(breakage: Breakage | undefined): void {
    if (breakage === undefined || this.#hasEnded) return;
    this.#closedFirst ??= breakage.side;
    this.abort(`${breakage.side}-reset`, breakage.code);
  }

  async #awaitEndpoints(service: ServiceUse): Promise<void> {
    await service.lease(this.#around.routes).known;
    if (!this.#hasEnded) this.#decideAgain();
  }

  #perform(decision: Decision): void {
    switch (decision.action) {
      case 'balance':
        this.#belongTo(decision.group.service.key).lease(this.#around.routes);
        this.#connectToOneOf(decision.group);
        break;
      case 'pass-through':
        this.#passThrough(decision);
        break;
      case 'load':
        this.refuse('endpoints-not-loaded', `The endpoints of ${decision.service} have not arrived yet.`);
        break;
      case 'refuse':
        if (decision.service !== undefined) this.#belongTo(decision.service);
        this.refuse(decision.reason, decision.detail);
        break;
    }
  }

  #belongTo(name: string): ServiceUse {
    if (this.#service === undefined) {
      this.#service = this.#around.serviceUse(name, this.#origin.direction);
      this.#service.opened();
    }
    return this.#service;
  }

  #passThrough(decision: Extract<Decision, { action: 'pass-through' }>): void {
    this.#endpoint = formatAddress(decision);
    const { service: key } = decision;
    const service = this.#belongTo(key ?? nameOfPassed(this.#destination));
    if (key !== undefined && !this.#isPassedThrough) {
      this.#isPassedThrough = true;
      // Endpoints that were tried before are no reason to try this address less often.
      this.#mostAttempts = this.#attempts + this.#around.limits.connectAttempts;
      // Still asked for, so that later connections are balanced.
      service.lease(this.#around.routes);
      service.counters.passedThrough++;
      const message = 'Passed a connection through to the address of its Service, unbalanced.';
      const fields = { endpoint: this.#endpoint };
      service.warn(this.#around.log, { message, reason: 'endpoints-not-told', fields });
    }
    this.#connect(decision);
  }

  #connectToOneOf(group: EndpointGroup): void {
    const pick = this.#around.balancer.pick(group, this, performance.now());
    if (pick === undefined) return this.#giveUp('connect-failed');
    this.#endpoint = pick.candidate.id;
    if (this.#around.isOwn(pick.candidate)) {
      // Whoever wrote that EndpointSlice would have the connection come back here, and again, without end.
      this.#failure = `${this.#endpoint} is where this sidecar itself listens: correct the Service's EndpointSlice.`;
      this.exclude = new Set([...this.exclude, this.#endpoint]);
      return this.#connectToOneOf(group);
    }
    this.#load = pick.load;
    pick.load.connectStarted();
    this.#connect(pick.candidate);
  }

  #connect(address: SocketAddress): void {
    this.#attempts++;
    this.#attemptedAtMs = performance.now();
    this.#backend = connectTcp(address, this, this.#origin.localPortsFor?.(address.address));
  }

  #tickConnecting(nowMs: number): void {
    if (this.#backend === undefined) return;
    const isLone = this.#load === undefined && !this.#isPassedThrough;
    const limitMs = connectLimitMs(this.#around.limits, isLone);
    if (nowMs - this.#attemptedAtMs >= limitMs) this.connectFailed('ETIMEDOUT');
  }

  #tickQuiet(exchange: Exchange, nowMs: number): void {
    const due = exchange.due(nowMs, this.#origin, this.#around);
    if (due === 'keep-alive') exchange.keepAlive(keepAliveWithin(this.#around.limits.idleTimeoutMs));
    else if (due === 'close') this.#close('drained');
    else if (due === 'cut') this.abort('idle-timeout');
    else if (due === 'break-off') this.#breakOff(exchange.breakage);
  }

  /** Without a reset: whoever still reads has been told all there was. */
  #close(ending: Ending): void {
    this.#client.close();
    this.#backend?.close();
    this.#end(ending, '');
  }

  #endpointFailed(service: ServiceUse, code: string): void {
    const nowMs = performance.now();
    const load = this.#load;
    load?.connectFailed(nowMs - this.#attemptedAtMs, nowMs);
    this.#load = undefined;
    this.#failure = `${this.#endpoint} did not answer (${code}).`;
    const fields = { endpoint: this.#endpoint };
    service.warn(this.#around.log, { message: 'Could not connect to an endpoint.', reason: code, fields });
    // kube-proxy chooses anew for every connection, and goes on for a while to choose endpoints that have ended.
    if (load === undefined && !this.#isPassedThrough) this.refuse('connect-failed', this.#failure);
    // A pod that is there refuses; where no pod is any more, nobody does.
    else if (code !== 'ECONNREFUSED' && this.#doubt()) this.#decideAgain();
    else this.#retry(service, nowMs);
  }

  #retry(service: ServiceUse, nowMs: number): void {
    this.exclude = new Set([...this.exclude, this.#endpoint]);
    if (this.#attempts >= this.#mostAttempts) this.#giveUp('connect-failed');
    else if (!service.retryBudget.withdraw(nowMs)) this.#giveUp('retry-budget-exhausted');
    else this.start();
  }

  #decideAgain(): void {
    this.#perform(this.#around.routes.decide(this.#destination));
  }

  #giveUp(reason: Refusal): void {
    if (this.#doubt()) this.#decideAgain();
    else this.refuse(reason, this.#failure);
  }

  /** Whether there is another way than by the table; that way is the last. */
  #doubt(): boolean {
    return !this.#isPassedThrough && this.#around.routes.doubt(this.#destination);
  }

  #end(ending: Ending, detail: string): void {
    this.#hasEnded = true;
    this.#closedFirst ??= 'proxy';
    this.#exchange?.release();
    if (this.#exchange === undefined) this.#load?.connectAbandoned();
    else this.#load?.closed();
    this.#service?.closed(this, ending, performance.now());
    this.#around.ended(this);
    if (this.#around.log.isEnabled('debug')) {
      this.#around.log.debug('Connection ended.', { ...this.#outcome(ending, detail) });
    }
  }

  #outcome(ending: Ending, detail: string): Outcome {
    return {
      ending,
      closedFirst: this.#closedFirst ?? 'proxy',
      service: this.service,
      endpoint: this.#endpoint,
      connectAttempts: this.#attempts,
      sentBytes: this.sentBytes,
      receivedBytes: this.receivedBytes,
      durationMs: performance.now() - this.#startedAtMs,
      detail,
    };
  }
}
