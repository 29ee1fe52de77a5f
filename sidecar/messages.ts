import { descriptorLimit } from '../process/descriptor-limit.ts';
import { hostPort, StartupError } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';
import { PORTS } from '../wire/pod.ts';
import { Balancer } from './balance/balancer.ts';
import type { SidecarConfig } from './config.ts';
import { deliveriesWithin, messageConnectionsWithin, withinDescriptors } from './resource-limits.ts';
import { formatAddress } from './net/socket-address.ts';
import type { TcpStream } from './net/tcp.ts';
import type { DirectTaker } from './interception.ts';
import { MessageCounters } from './message/counters.ts';
import { Delivery, type DeliveryOptions } from './message/delivery.ts';
import { HeldMemory } from './message/held-memory.ts';
import { HttpTaker } from './message/http-taker.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits } from './message/limits.ts';
import { Locator } from './message/locate.ts';
import { LogTaker } from './message/log-taker.ts';
import { MessageApi } from './message/message-api.ts';
import { ownAddresses } from './message/own-addresses.ts';
import { DEFAULT_PEERS, Peers } from './message/peers.ts';

/** Short: connections have been given their time by now, and messages as well. */
const DRAIN_MS = 2_000;

export interface MessagesOptions {
  readonly directory: DeliveryOptions['directory'];
  readonly log: Logger;
}

/** The message API, put together from the bootstrap. */
export class Messages implements DirectTaker {
  readonly counters = new MessageCounters();
  readonly #config: SidecarConfig['messages'];
  readonly #limits: MessageLimits;
  readonly #api: MessageApi;
  readonly #peers: Peers;
  readonly #taker: HttpTaker | LogTaker;
  readonly #listening: string[] = [];

  constructor({ messages, interception, node }: SidecarConfig, { directory, log }: MessagesOptions) {
    const { counters } = this;
    const { messagesPerSecond, deliveryTimeoutMs } = messages;
    const descriptors = descriptorLimit() ?? Number.POSITIVE_INFINITY;
    const maxConnections = withinDescriptors(log, {
      what: 'connections for messages',
      field: 'maxConnections',
      allowed: messages.maxConnections,
      fitting: messageConnectionsWithin(descriptors),
      openFiles: descriptors,
    });
    const limits = { ...DEFAULT_MESSAGE_LIMITS, maxConnections, messagesPerSecond, deliveryTimeoutMs };
    const memory = new HeldMemory(limits.heldBytes);
    this.#config = messages;
    this.#limits = limits;
    this.#peers = new Peers({
      ...DEFAULT_PEERS,
      connectTimeoutMs: limits.connectTimeoutMs,
      maxAllConnections: maxConnections,
      memory,
    });
    this.#taker = takerOf(messages, { concurrency: deliveriesWithin(descriptors), memory, log });
    const delivery = new Delivery({
      directory,
      locator: new Locator(interception?.outbound.port ?? PORTS.outbound),
      ownAddresses: ownAddresses(),
      taker: this.#taker,
      // Of its own: messages are no connections, and are not counted among those of a Service's port.
      balancer: new Balancer({ random: Math.random, identity: node.id }),
      peers: this.#peers,
      counters,
      deliveryTimeoutMs,
      log,
    });
    const deliver = delivery.deliver.bind(delivery);
    this.#api = new MessageApi({ deliver, limits, counters, log, memory });
  }

  get openConnections(): { readonly inbound: number; readonly outbound: number } {
    return { inbound: this.#api.openConnections, outbound: this.#peers.openConnections };
  }

  get heldBytes(): number {
    return this.#api.memory.bytes;
  }

  /** Of somebody who connected to the port that outbound connections are redirected to. */
  take(client: TcpStream): void {
    this.#api.take(client);
  }

  takesAt(address: string): void {
    this.#listening.push(address);
  }

  /** On the addresses of the bootstrap, which it returns. Throws a StartupError for the first that it cannot listen on. */
  listen(): readonly string[] {
    const listening = this.#config.listen.map(({ host, port }) => {
      const address = this.#api.listen({ address: host, port });
      if (typeof address === 'string') throw new StartupError(cannotListen(hostPort(host, port), address));
      return formatAddress(address);
    });
    this.#listening.push(...listening);
    return listening;
  }

  /** For people. */
  view(): object {
    const { openConnections, heldBytes, counters } = this;
    const { forwarded, retries, outcomes } = counters;
    const listening = this.#listening;
    return { listening, limits: this.#limits, openConnections, heldBytes, forwarded, retries, outcomes };
  }

  async drain(): Promise<void> {
    await this.#api.drain(DRAIN_MS);
    this.#peers.close();
    if (this.#taker instanceof HttpTaker) this.#taker.close();
  }
}

function takerOf(
  { deliverTo, deliveryTimeoutMs }: SidecarConfig['messages'],
  {
    concurrency,
    memory,
    log,
  }: { readonly concurrency: number; readonly memory: HeldMemory; readonly log: Logger },
): HttpTaker | LogTaker {
  return deliverTo === undefined
    ? new LogTaker(log)
    : new HttpTaker({ url: deliverTo, timeoutMs: deliveryTimeoutMs, concurrency, memory });
}

function cannotListen(address: string, code: string): string {
  return `Cannot take messages on ${address} (${code}): free it, or choose another in messages.listen.`;
}
