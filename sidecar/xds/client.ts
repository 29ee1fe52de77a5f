import type { ChannelCredentials } from '@grpc/grpc-js';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type { Logger } from '../../process/log.ts';
import type { Schedule } from '../services/interest.ts';
import { reconnectDelayMs } from './backoff.ts';
import { Keepalive } from './keepalive.ts';
import type { Received, Session } from './session.ts';
import type { AdsStream } from './stream.ts';
import { openStream } from './stream.ts';

/** Where the client stands. Times in milliseconds since the epoch. */
export type Connection =
  | { readonly state: 'connecting'; readonly address: string }
  | { readonly state: 'connected'; readonly address: string; readonly sinceMs: number }
  | { readonly state: 'waiting'; readonly retryAtMs: number }
  | { readonly state: 'stopped' };

export interface ClientStatus {
  readonly connection: Connection;
  readonly lastResponseMs: number | undefined;
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
}

export interface ControlPlaneClientOptions {
  /** `host:port`, IPv6 in brackets. At least one. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly session: Session;
  readonly log: Logger;
  readonly schedule: Schedule;
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called before the response is acknowledged. */
  readonly onReceived: (received: Received) => void;
  readonly onConnection: (connection: Connection) => void;
  /** A control plane answers, by more than a transport that is up. May be called again and again. */
  readonly onAnswering: () => void;
  /** Left out: with intervals for a network as it is. */
  readonly keepalive?: Keepalive;
}

const FIRST_ANSWER_TIMEOUT_MS = 15_000;
/** A server that has nothing to say, and a stream that has held for this long: that is an answer, too. */
const SILENT_ANSWER_MS = 5_000;
/**
 * A stream that held this long was a good one. That it answered is not enough: a server that fails after each
 * answer would be asked for all of it again and again.
 */
const GOOD_STREAM_MS = 60_000;

/** Keeps one delta ADS stream open to one of the control planes. */
export class ControlPlaneClient {
  readonly #options: ControlPlaneClientOptions;
  readonly #keepalive: Keepalive;
  #connection: Connection = { state: 'stopped' };
  #lastResponseMs: number | undefined;
  #lastError: ClientStatus['lastError'];
  #stream: AdsStream | undefined;
  #cancelTimer: (() => void) | undefined;
  #next: number;
  #failures = 0;
  #openedMs = 0;

  constructor(options: ControlPlaneClientOptions) {
    this.#options = options;
    this.#keepalive = options.keepalive ?? new Keepalive();
    // Sidecars spread over the addresses from the start.
    this.#next = Math.floor(options.random() * options.addresses.length);
  }

  get status(): ClientStatus {
    return {
      connection: this.#connection,
      lastResponseMs: this.#lastResponseMs,
      lastError: this.#lastError,
    };
  }

  start(): void {
    if (this.#connection.state === 'stopped') {
      this.#connect();
    }
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#become({ state: 'stopped' });
    this.#stream?.close();
  }

  subscribe(typeUrl: string, name: string): void {
    this.#send(this.#options.session.subscribe(typeUrl, name));
  }

  unsubscribe(typeUrl: string, name: string): void {
    this.#send(this.#options.session.unsubscribe(typeUrl, name));
  }

  #send(request: DeltaDiscoveryRequest | undefined): void {
    if (request !== undefined) {
      // Without a stream the session remembers, and tells it first thing on the next one.
      this.#stream?.send(request);
    }
  }

  #connect(): void {
    const { addresses, credentials, session, schedule } = this.#options;
    const address = addresses[this.#next % addresses.length] ?? '';
    this.#next += 1;
    this.#openedMs = this.#options.now();
    this.#become({ state: 'connecting', address });
    const stream = openStream(address, credentials, this.#keepalive.intervalMs(address), {
      onConnected: () => {
        this.#connected(address);
      },
      onResponse: (response) => {
        this.#receive(response);
      },
      onTooMuch: () => {
        const pingEveryMs = this.#keepalive.pingLess(address);
        this.#options.log.warn('Lowered the rate of keepalive pings', { address, pingEveryMs });
      },
      onEnd: (error) => {
        this.#ended(address, error);
      },
    });
    this.#stream = stream;
    for (const request of session.open()) {
      stream.send(request);
    }
    this.#cancelTimer = session.awaitsAnswer
      ? schedule(FIRST_ANSWER_TIMEOUT_MS, () => {
          stream.close(`nothing came within ${FIRST_ANSWER_TIMEOUT_MS / 1000} s`);
        })
      : undefined;
  }

  #connected(address: string): void {
    const { log, onAnswering, schedule, session } = this.#options;
    log.info('Connected to the control plane', { address });
    this.#cancelTimer ??= schedule(SILENT_ANSWER_MS, () => {
      // What was asked for meanwhile has to be answered in words.
      if (!session.awaitsAnswer) {
        onAnswering();
      }
    });
    this.#become({ state: 'connected', address, sinceMs: this.#options.now() });
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const { session, now, onAnswering, onReceived } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#lastResponseMs = now();
    const received = session.receive(response, this.#lastResponseMs);
    onAnswering();
    onReceived(received);
    this.#send(received.reply);
  }

  #ended(address: string, error: string | undefined): void {
    const { addresses, log, now, random, schedule, session } = this.#options;
    this.#stream = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#connection.state === 'stopped') {
      return;
    }
    const wasConnected = this.#connection.state === 'connected';
    const atMs = now();
    this.#failures = atMs - this.#openedMs > GOOD_STREAM_MS ? 1 : this.#failures + 1;
    const delayMs = reconnectDelayMs(this.#failures, addresses.length, random());
    if (error === undefined) {
      log.info('The control plane ended the stream', { address });
    } else {
      const message = `Control plane ${address}: ${error}`;
      this.#lastError = { message, atMs };
      // Logged once for each address; that it goes on failing is no news.
      const level = this.#failures <= addresses.length ? 'warn' : 'debug';
      const event = wasConnected ? 'Lost the control plane' : 'Could not connect to the control plane';
      const known = session.isEmpty ? '' : '; the last good table stays in use';
      log[level](`${event}${known}`, { address, error, retryInMs: delayMs });
    }
    this.#cancelTimer = schedule(delayMs, () => {
      this.#connect();
    });
    this.#become({ state: 'waiting', retryAtMs: atMs + delayMs });
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    this.#options.onConnection(connection);
  }
}
