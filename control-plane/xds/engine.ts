import { status } from '@grpc/grpc-js';
import type { Server } from '@grpc/grpc-js';
import type { Logger } from '../../process/log.ts';
import { grpcMethod, rawCodec } from '../../wire/grpc-service.ts';
import { heldBudget, unsentBudget } from './byte-budget.ts';
import type { ByteBudget, Shortage } from './byte-budget.ts';
import { accountOf, anybody, identifyWithin } from './caller.ts';
import type { Identify, RawCall } from './caller.ts';
import { createCounters } from './counters.ts';
import type { Counters } from './counters.ts';
import { Gate } from './gate.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { GOING_AWAY, refuse, STALLED, STREAM_TOO_OLD } from './stream-end.ts';
import type { StreamEnd } from './stream-end.ts';
import { References } from './references.ts';
import type { Reference } from './references.ts';
import { readDeltaRequest, readSotwRequest, RequestReader } from './request.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import type { DiscoveryService } from './services.ts';
import { SendRoom } from './send-room.ts';
import { Slices } from './slices.ts';
import type { SnapshotCell } from './snapshot.ts';
import type { StreamHost, StreamKind } from './stream-host.ts';
import { XdsStream } from './stream.ts';
import type { TypeServer } from './type-server.ts';
import { TypeServers } from './type-servers.ts';

export interface XdsEngineOptions {
  readonly snapshots: SnapshotCell;
  readonly logger: Logger;
  /** Type URLs in the order in which a change to several of them is told; others come last. */
  readonly order?: readonly string[];
  /** Types whose state-of-the-world responses are complete, so that absence means deletion. */
  readonly fullStateTypes?: readonly string[];
  /** When a resource of one type is sent, those of another that it refers to are sent after it, changed or not. */
  readonly references?: readonly Reference[];
  readonly limits?: Partial<Limits>;
  readonly identify?: Identify;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Evenly distributed in [0, 1). */
  readonly random?: () => number;
}

/** Serves whatever the snapshots hold over xDS v3, to any number of streams. */
export interface XdsEngine {
  readonly counters: Counters;
  readonly held: ByteBudget;
  readonly sendRoom: Pick<SendRoom, 'unsent'>;
  /** The streams that are open now. */
  streams(): Iterable<XdsStream>;
  addTo(server: Server, services: readonly DiscoveryService[]): void;
  /**
   * Refuses new streams and ends the open ones one by one over this many milliseconds, so that their clients do
   * not all turn to another replica at once. Resolves when none is left. Shut the server down at the same time:
   * it tells clients to make their next stream on another connection.
   */
  drain(windowMs: number): Promise<void>;
  /** Ends the streams that are open, each at some moment of this many milliseconds. New ones are taken as before. */
  endStreams(windowMs: number, details: string): void;
  /** Ends everything now. */
  close(): void;
}

export function createXdsEngine(options: XdsEngineOptions): XdsEngine {
  return new Engine(options);
}

/**
 * For how long streams are written to, in milliseconds, before sockets get their turn. A pause in between
 * lets in the answers of those who were first, and whoever is last waits for them.
 */
const FAN_OUT_MS = 25;
const SWEEP_MS = 1000;
const AWAY = { code: status.UNAVAILABLE, details: GOING_AWAY };

class Engine implements XdsEngine, StreamHost<XdsStream> {
  readonly counters: Counters = createCounters();
  readonly limits: Limits;
  readonly logger: Logger;
  readonly now: () => number;
  readonly references: References;
  readonly #snapshots: SnapshotCell;
  readonly #identify: Identify;
  readonly #random: () => number;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #gate: Gate;
  readonly held: ByteBudget;
  readonly sendRoom: SendRoom;
  readonly slices = new Slices();
  readonly #deltaRequests = new RequestReader((bytes) => readDeltaRequest(bytes, this.limits));
  readonly #sotwRequests = new RequestReader((bytes) => readSotwRequest(bytes, this.limits));
  readonly #servers: TypeServers;
  readonly #streams = new Map<XdsStream, StreamEnd>();
  readonly #unsubscribe: () => void;
  readonly #sweeper: NodeJS.Timeout;
  readonly #waiting = new Set<XdsStream>();
  #accepting = true;
  #whenEmpty: (() => void) | undefined;

  constructor(options: XdsEngineOptions) {
    this.#snapshots = options.snapshots;
    this.logger = options.logger;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#identify = options.identify ?? anybody;
    const { snapshots, order = [], fullStateTypes = [], references = [] } = options;
    this.#ranks = new Map(order.map((typeUrl, at) => [typeUrl, at]));
    this.references = new References(references, order, this.logger);
    const { responseBytes } = this.limits;
    const { counters } = this;
    this.#servers = new TypeServers({ snapshots, order, fullStateTypes, responseBytes, counters });
    this.held = heldBudget(this.limits);
    this.sendRoom = new SendRoom(unsentBudget(this.limits));
    this.#gate = new Gate(this.limits, this.counters, this.now());
    this.#unsubscribe = this.#snapshots.subscribe(() => this.#onSnapshot());
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  streams(): Iterable<XdsStream> {
    return this.#streams.keys();
  }

  addTo(server: Server, services: readonly DiscoveryService[]): void {
    for (const { service, typeUrl } of services) {
      const definition = Object.fromEntries(
        service.methods.map((method) => [method.localName, grpcMethod(method, rawCodec, rawCodec)]),
      );
      const handlers = Object.fromEntries(
        service.methods.map((method) => {
          const protocol: Protocol = method.input.name === 'DeltaDiscoveryRequest' ? 'delta' : 'sotw';
          return [method.localName, (call: RawCall) => void this.#open(call, { protocol, typeUrl })];
        }),
      );
      server.addService(definition, handlers);
    }
  }

  rank = (typeUrl: string): number => this.#ranks.get(typeUrl) ?? this.#ranks.size;

  serverOf = (typeUrl: string, protocol: Protocol): TypeServer => this.#servers.of(typeUrl, protocol);

  read = (bytes: Buffer, protocol: Protocol): DeltaRequest | SotwRequest =>
    protocol === 'delta' ? this.#deltaRequests.read(bytes) : this.#sotwRequests.read(bytes);

  isPartial = (): boolean => this.#snapshots.current.isPartial === true;

  behind = (streams: 1 | -1): void => {
    this.counters.streamsBehind += streams;
  };

  short = (shortage: Shortage): void => {
    this.counters[shortage === 'caller' ? 'callerBytesRefused' : 'processBytesRefused'] += 1;
  };

  refused = (): void => {
    this.counters.requestsRefused += 1;
  };

  oversized = (resources: number): void => {
    this.counters.oversizedResources += resources;
  };

  ended = (stream: XdsStream): void => {
    if (!this.#streams.delete(stream)) return;
    this.#gate.closed(stream.account);
    this.counters.streams -= 1;
    if (this.#streams.size === 0) this.#whenEmpty?.();
  };

  async drain(windowMs: number): Promise<void> {
    this.#accepting = false;
    if (this.#streams.size === 0) return;
    const start = this.now();
    const step = windowMs / this.#streams.size;
    let nth = 0;
    for (const stream of this.#streams.keys()) {
      this.#streams.set(stream, { at: start + step * nth++, details: GOING_AWAY });
    }
    const timer = setInterval(() => this.#sweep(), Math.max(1, Math.min(50, windowMs / 20)));
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
      this.#sweep();
    });
    clearInterval(timer);
  }

  endStreams(windowMs: number, details: string): void {
    const now = this.now();
    for (const [stream, end] of this.#streams) {
      const at = now + this.#random() * windowMs;
      if (at < end.at) this.#streams.set(stream, { at, details });
    }
  }

  close(): void {
    this.#accepting = false;
    clearInterval(this.#sweeper);
    this.#unsubscribe();
    for (const stream of this.streams()) stream.end(status.UNAVAILABLE, GOING_AWAY);
  }

  async #open(call: RawCall, kind: StreamKind): Promise<void> {
    if (!this.#accepting) return refuse(call, AWAY);
    const refusal = this.#gate.admit(call.getPeer(), this.now());
    if (refusal !== undefined) return refuse(call, refusal);
    const identity = { identify: this.#identify, logger: this.logger };
    const identified = await identifyWithin(this.limits.firstRequestMs, call, identity);
    if (call.cancelled) return undefined;
    if (!this.#accepting) return refuse(call, AWAY);
    if ('rejected' in identified) {
      this.counters.identitiesRefused += 1;
      return refuse(call, identified.rejected);
    }
    const { ok: caller } = identified;
    const account = accountOf(caller, call);
    const full = this.#gate.opened(account);
    if (full !== undefined) return refuse(call, full);
    return this.#serve(new XdsStream(call, { caller, account }, kind, this));
  }

  #serve(stream: XdsStream): void {
    const jitter = 0.9 + 0.2 * this.#random();
    const endsAt = this.now() + this.limits.streamAgeMs * jitter;
    this.#streams.set(stream, { at: endsAt, details: STREAM_TOO_OLD });
    this.counters.streams += 1;
    this.counters.streamsOpened += 1;
  }

  /** All types first, so that no stream sees one of them new and another one old. */
  #onSnapshot(): void {
    this.#servers.replace(this.#snapshots.current);
    const isRunning = this.#waiting.size > 0;
    // Those that still wait for the snapshot before stay first, so that a storm of changes starves nobody.
    for (const stream of this.#streams.keys()) this.#waiting.add(stream);
    if (!isRunning) this.#fanOut();
  }

  #fanOut(): void {
    const pauseAt = performance.now() + FAN_OUT_MS;
    for (const stream of this.#waiting) {
      this.#waiting.delete(stream);
      stream.advance();
      if (performance.now() >= pauseAt) break;
    }
    if (this.#waiting.size > 0) setImmediate(() => this.#fanOut());
  }

  #sweep(): void {
    this.#servers.forgetUnused(() => this.#usedTypes());
    const now = this.now();
    for (const [stream, { at, details }] of this.#streams) {
      if (now >= at) {
        stream.end(status.UNAVAILABLE, details);
      } else if (stream.awaitsFirstRequest && now >= stream.openedAt + this.limits.firstRequestMs) {
        stream.end(status.DEADLINE_EXCEEDED, `No request came within ${this.limits.firstRequestMs} ms.`);
      } else if (this.#isInTheWay(stream, now)) {
        this.counters.stalledStreams += 1;
        stream.end(status.DEADLINE_EXCEEDED, STALLED);
      }
    }
  }

  /** Does its connection take nothing while other streams of the same caller wait for room? */
  #isInTheWay({ account, stalledSince }: XdsStream, now: number): boolean {
    if (stalledSince === undefined || now - stalledSince < this.limits.stallMs) return false;
    return this.sendRoom.isShort(account);
  }

  #usedTypes(): Set<TypeServer> {
    const used = new Set<TypeServer>();
    for (const stream of this.streams()) for (const { server } of stream.sessions) used.add(server);
    return used;
  }
}
