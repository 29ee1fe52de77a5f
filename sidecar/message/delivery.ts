import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import { RetryBudget } from '../forward/retry-budget.ts';
import { formatAddress } from '../forward/socket-address.ts';
import type { EndpointGroup, Routes } from '../services/decision.ts';
import type { Table } from '../services/table.ts';
import { type Answer, failed } from './answer.ts';
import type { MessageCounters } from './counters.ts';
import type { Locator, Place } from './locate.ts';
import type { Sent } from './peer-connection.ts';
import type { Peers } from './peers.ts';
import { forwardedLine, type Message, MOST_HOPS } from './protocol.ts';

/** Each sidecar on the way waits this much longer than the next, so that the last one's word arrives. */
const MORE_EACH_HOP_MS = 1_000;
const MOST_ATTEMPTS = 3;

/** The workload behind this sidecar, or who stands in for it. Never rejects. */
export interface Taker {
  take(message: Message, from: string): Promise<Answer>;
}

export interface DeliveryOptions {
  readonly directory: Pick<Routes, 'use'> & { readonly table: Table };
  readonly locator: Locator;
  /** This machine's addresses at the moment. */
  readonly ownAddresses: () => ReadonlySet<string>;
  readonly taker: Taker;
  readonly balancer: Balancer;
  readonly peers: Peers;
  readonly counters: MessageCounters;
  readonly deliveryTimeoutMs: number;
  readonly log: Logger;
}

/** Brings each message to whoever serves its Service, at most once. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #retries = new RetryBudget(performance.now());
  /** Of which the balancer remembers something. */
  readonly #balanced = new Set<string>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async deliver(message: Message, from: string): Promise<Answer> {
    try {
      const place = await this.#locate(message.service);
      switch (place.at) {
        case 'here':
          return await this.#options.taker.take(message, from);
        case 'elsewhere':
          return await this.#forward(message, from, place.group);
        case 'nowhere':
          return place.answer;
        default:
          return failed('not-ready', `the endpoints of Service ${message.service} have not arrived yet.`);
      }
    } catch (error) {
      // A mistake of ours, and no reason to leave the sender without a word.
      this.#options.log.error('Delivering a message failed by a defect.', {
        service: message.service,
        error,
      });
      return failed('lost', 'this sidecar has a defect, see its log: the message may have been delivered.');
    }
  }

  async #locate(service: string): Promise<Place> {
    const { directory, locator, ownAddresses } = this.#options;
    const { table } = directory;
    // A name that is nobody's is not asked for: anybody can invent one.
    if (table.servicesKnown && !table.services.has(service))
      return locator.locate(table, service, ownAddresses());
    const lease = directory.use(service);
    try {
      const place = locator.locate(directory.table, service, ownAddresses());
      if (place.at !== 'not-told') return place;
      await lease.known;
      return locator.locate(directory.table, service, ownAddresses());
    } finally {
      lease.release();
    }
  }

  async #forward(message: Message, from: string, group: EndpointGroup): Promise<Answer> {
    const { counters, deliveryTimeoutMs } = this.#options;
    if (message.hops >= MOST_HOPS) return failed('too-many-hops', tooManyHops(message));
    counters.forwarded++;
    this.#retries.deposit();
    this.#remember(group.service.key);
    const line = Buffer.from(forwardedLine(message, from));
    const limitMs = deliveryTimeoutMs + MORE_EACH_HOP_MS * (MOST_HOPS - message.hops);
    const deadlineMs = performance.now() + limitMs;
    const exclude = new Set<string>();
    let why = '';
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      if (attempt > 1 && !this.#mayRetry(deadlineMs)) break;
      const pick = this.#options.balancer.pick(group, { clientAddress: from, exclude }, performance.now());
      if (pick === undefined) break;
      if (attempt > 1) counters.retries++;
      const { candidate } = pick;
      const sent = await this.#send(pick, line, deadlineMs);
      if (sent.kind === 'answered') return said(sent.answer, candidate.id);
      why = `the sidecar at ${formatAddress(candidate)} ${sent.why}`;
      if (sent.kind === 'lost') return failed('lost', `${why}: the message may have been delivered.`);
      exclude.add(candidate.id);
    }
    return failed('unreachable', `${why}: the message was not delivered.`);
  }

  /** Those that are gone from the table are forgotten when one comes that is new. */
  #remember(service: string): void {
    if (this.#balanced.has(service)) return;
    const { balancer, directory } = this.#options;
    const { services } = directory.table;
    for (const one of this.#balanced) {
      if (!services.has(one) && balancer.forget(one, performance.now())) this.#balanced.delete(one);
    }
    this.#balanced.add(service);
  }

  /** What is given away when its time is over would be written and given up at once: nobody would know. */
  #mayRetry(deadlineMs: number): boolean {
    const nowMs = performance.now();
    return nowMs < deadlineMs && this.#retries.withdraw(nowMs);
  }

  /** The load of an endpoint is the messages that it has not answered, and its latency how long that takes. */
  async #send(
    { candidate, load }: NonNullable<ReturnType<Balancer['pick']>>,
    line: Buffer,
    deadlineMs: number,
  ): Promise<Sent> {
    const startedAtMs = performance.now();
    load.connectStarted();
    const sent = await this.#options.peers.send(candidate, line, deadlineMs);
    const nowMs = performance.now();
    if (sent.kind === 'answered') {
      load.connectSucceeded(nowMs - startedAtMs, nowMs);
      load.closed();
    } else {
      load.connectFailed(nowMs - startedAtMs, nowMs);
    }
    return sent;
  }
}

/** What another sidecar has explained already is not explained again, but whoever reads this one's log is told where. */
function said(answer: Answer, id: string): Answer {
  const isSuccess = answer.outcome === 'delivered' || answer.outcome === 'received';
  return isSuccess ? answer : { ...answer, detail: `the sidecar at ${id} says so: its log has the reason.` };
}

function tooManyHops({ service }: Message): string {
  return (
    `the message has been forwarded ${MOST_HOPS} times without arriving: sidecars disagree about who ` +
    `serves Service ${service}; send it again later.`
  );
}
