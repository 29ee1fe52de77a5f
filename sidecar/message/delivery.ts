import type { Logger } from '../../process/log.ts';
import type { Balancer } from '../balance/balancer.ts';
import type { Contender } from '../balance/contender.ts';
import { RetryBudget } from '../forward/retry-budget.ts';
import type { EndpointGroup } from '../services/decision.ts';
import type { Directory } from '../services/directory.ts';
import { type Answer, failed, type Verdict, verdictOf } from './answer.ts';
import type { MessageCounters } from './counters.ts';
import { type Locator, notTold, type Place } from './locate.ts';
import type { Sent } from './peer-connection.ts';
import type { Peers } from './peers.ts';
import { forwardedLine, type Message, MOST_HOPS } from './protocol.ts';

/**
 * Each sidecar on the way waits this much longer than the next may take, which may first have to wait for word of
 * the Service: so the last one's word arrives.
 */
const MORE_EACH_HOP_MS = 1_000;
const MOST_ATTEMPTS = 3;

/** The workload behind this sidecar, or who stands in for it. Never rejects. */
export interface Taker {
  take(message: Message, from: string): Promise<Answer>;
}

export interface DeliveryOptions {
  readonly directory: Pick<Directory, 'table' | 'use' | 'servicesTold' | 'waitMs'>;
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
  /** By Service, of all that the balancer remembers something of. */
  readonly #retries = new Map<string, RetryBudget>();

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
          return failed('not-ready', notTold(message.service));
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
    const locate = (): Place => locator.locate(directory.table, service, ownAddresses());
    // A name that is nobody's is not asked for, nor is one that may be nobody's: anybody can invent one.
    if (!directory.table.services.has(service)) await directory.servicesTold();
    if (!directory.table.services.has(service)) return locate();
    const lease = directory.use(service);
    try {
      const place = locate();
      if (place.at !== 'not-told') return place;
      await lease.known;
      return locate();
    } finally {
      lease.release();
    }
  }

  async #forward(message: Message, from: string, group: EndpointGroup): Promise<Answer> {
    const { balancer, counters, directory, deliveryTimeoutMs } = this.#options;
    if (message.hops >= MOST_HOPS) return failed('too-many-hops', tooManyHops(message));
    counters.forwarded++;
    const retries = this.#retriesOf(group.service.key);
    retries.deposit();
    const line = Buffer.from(forwardedLine(message, from));
    const limitMs = deliveryTimeoutMs + (directory.waitMs + MORE_EACH_HOP_MS) * (MOST_HOPS - message.hops);
    const deadlineMs = performance.now() + limitMs;
    const exclude = new Set<string>();
    let sent: Sent | undefined;
    let answer: Answer | undefined;
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const nowMs = performance.now();
      const pick = balancer.pick(group, { clientAddress: from, exclude }, nowMs);
      if (pick === undefined) break;
      // What is given away when its time is over would be written and given up at once: nobody would know.
      if (sent !== undefined && nowMs >= deadlineMs) break;
      // What this sidecar had no room for has been a burden to nobody: to try another is no retry.
      if (sent !== undefined && !isOurs(sent)) {
        if (!retries.withdraw(nowMs)) break;
        counters.retries++;
      }
      sent = await this.#send(pick, line, deadlineMs);
      answer = answerOf(sent, pick.candidate.id);
      if (verdictOf(answer) !== 'not-taken') return answer;
      exclude.add(pick.candidate.id);
    }
    // A group is never empty.
    return answer!;
  }

  /** Services that are gone from the table are forgotten when one comes that is new. */
  #retriesOf(service: string): RetryBudget {
    const known = this.#retries.get(service);
    if (known !== undefined) return known;
    const { balancer, directory } = this.#options;
    const { services } = directory.table;
    const nowMs = performance.now();
    for (const one of this.#retries.keys()) {
      if (!services.has(one) && balancer.forget(one, nowMs)) this.#retries.delete(one);
    }
    const retries = new RetryBudget(nowMs);
    this.#retries.set(service, retries);
    return retries;
  }

  /**
   * The load of an endpoint is the messages that it has not answered, and its latency how long it takes to have one
   * taken: a sidecar that fails at once is not a fast one.
   */
  async #send({ candidate, load }: Contender, line: Buffer, deadlineMs: number): Promise<Sent> {
    const startedAtMs = performance.now();
    load.connectStarted();
    const sent = await this.#options.peers.send(candidate, line, deadlineMs);
    const nowMs = performance.now();
    const durationMs = nowMs - startedAtMs;
    switch (verdictOn(sent)) {
      case 'taken':
        load.connectSucceeded(durationMs, nowMs);
        load.closed();
        break;
      case 'not-taken':
        load.connectFailed(durationMs, nowMs);
        break;
      case 'final':
        load.connectAbandoned();
        break;
    }
    return sent;
  }
}

/** What it tells of the endpoint. */
function verdictOn(sent: Sent): Verdict {
  if (sent.kind === 'answered') return verdictOf(sent.answer);
  return sent.isOurs ? 'final' : 'not-taken';
}

function isOurs(sent: Sent): boolean {
  return sent.kind !== 'answered' && sent.isOurs;
}

function answerOf(sent: Sent, id: string): Answer {
  if (sent.kind !== 'answered') {
    return sent.kind === 'not-sent'
      ? failed('unreachable', `the sidecar at ${id} ${sent.why}: the message was not delivered.`)
      : failed('lost', `the sidecar at ${id} ${sent.why}: the message may have been delivered.`);
  }
  if (verdictOf(sent.answer) === 'taken') return sent.answer;
  // What it has explained is not explained again, but whoever reads this sidecar's log is told where.
  return { ...sent.answer, detail: `the sidecar at ${id} says so: its log has the reason.` };
}

function tooManyHops({ service }: Message): string {
  return (
    `the message has been forwarded ${MOST_HOPS} times without arriving: sidecars disagree about who ` +
    `serves Service ${service}; send it again later.`
  );
}
