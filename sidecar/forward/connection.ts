import type { Balancer } from '../balance/balancer.ts';
import type { PickRequest } from '../balance/contender.ts';
import type { EndpointLoad } from '../balance/load.ts';
import type { Logger } from '../../process/log.ts';
import type { Decision, Destination, EndpointGroup, Routes } from '../services/decision.ts';
import type { ConnectTimes } from './counters.ts';
import { type CopyResources, Direction, type DirectionOwner } from './direction.ts';
import type { Limits } from './limits.ts';
import { connectFailureOf, type Ending, type Outcome, type Refusal, shortageOf } from './outcome.ts';
import type { ServiceUse } from './service-use.ts';
import { type ConnectWaiter, connectTcp, formatAddress, type SocketAddress, type TcpStream } from './tcp.ts';

/** What all connections of one forwarder share. */
export interface Surroundings extends CopyResources {
  readonly routes: Routes;
  readonly balancer: Balancer;
  readonly limits: Limits;
  readonly connectTimes: ConnectTimes;
  readonly log: Logger;
  serviceUse(name: string): ServiceUse;
  ended(connection: Connection): void;
}

/** A connection that has been quiet for this long gives back grown buffers. */
const KEPT_BUFFERS_MS = 5_000;

const NONE: ReadonlySet<string> = new Set();

/**
 * One accepted connection from its decision to its end. Nothing is read from the client until an endpoint has
 * answered, which is what makes it safe to try another.
 */
export class Connection implements ConnectWaiter, DirectionOwner, PickRequest {
  exclude: ReadonlySet<string> = NONE;
  readonly #client: TcpStream;
  readonly #destination: Destination;
  readonly #around: Surroundings;
  readonly #startedAtMs = performance.now();
  #service: ServiceUse | undefined;
  #backend: TcpStream | undefined;
  #load: EndpointLoad | undefined;
  #endpoint = '';
  /** What the last attempt failed with, as a sentence. */
  #failure = '';
  #attempts = 0;
  #attemptedAtMs = 0;
  #quietSinceMs = 0;
  #sending: Direction | undefined;
  #receiving: Direction | undefined;
  #closedFirst: Outcome['closedFirst'] | undefined;
  #hasEnded = false;

  constructor(client: TcpStream, destination: Destination, around: Surroundings) {
    this.#client = client;
    this.#destination = destination;
    this.#around = around;
  }

  get clientAddress(): string {
    return this.#client.remoteAddress()?.address ?? '';
  }

  /** Empty until it is decided. */
  get service(): string {
    return this.#service?.name ?? '';
  }

  get sentBytes(): number {
    return this.#sending?.bytes ?? 0;
  }

  get receivedBytes(): number {
    return this.#receiving?.bytes ?? 0;
  }

  start(): void {
    const decision = this.#around.routes.decide(this.#destination);
    if (decision.action === 'load') void this.#awaitEndpoints(this.#belongTo(decision.service));
    else this.#perform(decision);
  }

  /** Called now and then, so that no connection needs a timer of its own. */
  tick(nowMs: number): void {
    if (this.#sending === undefined || this.#receiving === undefined) {
      const isConnecting = this.#backend !== undefined;
      const waitedMs = nowMs - this.#attemptedAtMs;
      if (isConnecting && waitedMs >= this.#around.limits.connectTimeoutMs) this.connectFailed('ETIMEDOUT');
      return;
    }
    if (this.#sending.hasMoved || this.#receiving.hasMoved) {
      this.#sending.hasMoved = this.#receiving.hasMoved = false;
      this.#quietSinceMs = nowMs;
      return;
    }
    const quietMs = nowMs - this.#quietSinceMs;
    if (quietMs >= this.#around.limits.idleTimeoutMs) {
      this.abort('idle-timeout');
    } else if (quietMs >= KEPT_BUFFERS_MS) {
      this.#sending.giveBack();
      this.#receiving.giveBack();
    }
  }

  /** Resets the client: fast, and not to be taken for an answer. */
  refuse(reason: Refusal, detail: string): void {
    const service = this.#belongTo(nameOf(this.#destination));
    const fields = { service: service.name, detail };
    service.warnings.say(this.#around.log, { message: 'Refused a connection.', reason, fields });
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
    this.#around.connectTimes.observe(durationMs / 1000);
    this.#quietSinceMs = nowMs;
    this.#sending = new Direction(this.#client, backend, this.#around, this);
    this.#receiving = new Direction(backend, this.#client, this.#around, this);
    this.#sending.start();
    this.#receiving.start();
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
    if (this.#hasEnded) return;
    const isSending = direction === this.#sending;
    this.#closedFirst ??= isSending ? 'client' : 'backend';
    const other = isSending ? this.#receiving : this.#sending;
    if (other?.hasEnded) {
      this.#client.close();
      this.#backend?.close();
      this.#end('complete', '');
    } else {
      (isSending ? this.#backend : this.#client)?.shutdown();
    }
  }

  directionFailed(at: TcpStream, code: string): void {
    if (this.#hasEnded) return;
    const isClient = at === this.#client;
    this.#closedFirst ??= isClient ? 'client' : 'backend';
    this.abort(isClient ? 'client-reset' : 'backend-reset', code);
  }

  async #awaitEndpoints(service: ServiceUse): Promise<void> {
    await service.lease(this.#around.routes).known;
    if (!this.#hasEnded) this.#perform(this.#around.routes.decide(this.#destination));
  }

  #perform(decision: Decision): void {
    switch (decision.action) {
      case 'balance':
        this.#belongTo(decision.group.service.key).lease(this.#around.routes);
        this.#connectToOneOf(decision.group);
        break;
      case 'pass-through':
        this.#belongTo('pass-through');
        this.#endpoint = formatAddress(decision);
        this.#connect(decision);
        break;
      case 'load':
        this.refuse('endpoints-not-loaded', `The endpoints of ${decision.service} have not arrived yet.`);
        break;
      case 'refuse':
        this.refuse(decision.reason, decision.detail);
        break;
    }
  }

  #belongTo(name: string): ServiceUse {
    if (this.#service === undefined) {
      this.#service = this.#around.serviceUse(name);
      this.#service.opened();
    }
    return this.#service;
  }

  #connectToOneOf(group: EndpointGroup): void {
    const pick = this.#around.balancer.pick(group, this, performance.now());
    if (pick === undefined) {
      this.refuse('connect-failed', this.#failure);
      return;
    }
    this.#load = pick.load;
    this.#endpoint = pick.candidate.id;
    pick.load.connectStarted();
    this.#connect(pick.candidate);
  }

  #connect(address: SocketAddress): void {
    this.#attempts++;
    this.#attemptedAtMs = performance.now();
    this.#backend = connectTcp(address, this);
  }

  #endpointFailed(service: ServiceUse, code: string): void {
    const nowMs = performance.now();
    const load = this.#load;
    load?.connectFailed(nowMs - this.#attemptedAtMs, nowMs);
    this.#load = undefined;
    this.#failure = `${this.#endpoint} did not answer (${code}).`;
    const fields = { service: service.name, endpoint: this.#endpoint };
    const message = 'Could not connect to an endpoint.';
    service.warnings.say(this.#around.log, { message, reason: code, fields });
    if (load === undefined) this.refuse('connect-failed', this.#failure);
    else this.#retry(service, nowMs);
  }

  /** On another endpoint, of those that are there by now. */
  #retry(service: ServiceUse, nowMs: number): void {
    this.exclude = new Set([...this.exclude, this.#endpoint]);
    if (this.#attempts >= this.#around.limits.connectAttempts) this.refuse('connect-failed', this.#failure);
    else if (!service.retryBudget.withdraw(nowMs)) this.refuse('retry-budget-exhausted', this.#failure);
    else this.#perform(this.#around.routes.decide(this.#destination));
  }

  #end(ending: Ending, detail: string): void {
    this.#hasEnded = true;
    this.#closedFirst ??= 'proxy';
    this.#sending?.release();
    this.#receiving?.release();
    if (this.#sending === undefined) this.#load?.connectAbandoned();
    else this.#load?.closed();
    const service = this.#service;
    if (service !== undefined) {
      service.counters.closed[ending]++;
      service.counters.sentBytes += this.sentBytes;
      service.counters.receivedBytes += this.receivedBytes;
      service.closed(performance.now());
    }
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

/** What a refused connection is counted under. */
function nameOf(destination: Destination): string {
  return destination.kind === 'service' ? destination.service : 'unknown';
}
