import { type Contender, type PickRequest, eligible, isFirstChoice } from './contender.ts';
import type { EndpointLoad } from './load.ts';
import type { Picker, Random } from './picker.ts';

/**
 * Every latency below counts as this much. Differences there come from the scheduler and from how busy this
 * process is, not from the endpoint; so among near endpoints the number of connections decides, then chance.
 */
const LATENCY_FLOOR_MS = 5;

/** What choosing an endpoint would cost; only compared. */
export type Cost = (load: EndpointLoad, nowMs: number) => number;

/**
 * Connect time × (connections + 1).
 *
 * The signal at layer 4 is the connect time, because that is the one answer every TCP server gives that is
 * not shaped by the application's protocol: it holds the network's distance and, through dropped SYNs, a full
 * accept queue. How busy an application is shows in the connections that it has not finished.
 */
export function latencyAndConnections(load: EndpointLoad, nowMs: number): number {
  return Math.max(load.latencyMs(nowMs), LATENCY_FLOOR_MS) * (load.active + 1);
}

/** Open connections alone. */
export function connections({ active }: EndpointLoad): number {
  return active;
}

/**
 * Power of two choices (Mitzenmacher 2001): of two endpoints drawn at random, the one that costs less. Taking
 * the cheapest of all would send every new connection of every sidecar to an endpoint that has just arrived.
 */
export class PowerOfTwoPicker implements Picker {
  readonly #contenders: readonly Contender[];
  readonly #random: Random;
  readonly #cost: Cost;

  constructor(contenders: readonly Contender[], random: Random, cost: Cost) {
    this.#contenders = contenders;
    this.#random = random;
    this.#cost = cost;
  }

  pick(request: PickRequest, nowMs: number): Contender | undefined {
    const [one, other] = this.#draw(this.#contenders);
    if (one === undefined || other === undefined) return undefined;
    if (isFirstChoice(one, request, nowMs) && isFirstChoice(other, request, nowMs)) {
      return this.#cheaper(one, other, nowMs);
    }
    const [left, right] = this.#draw(eligible(this.#contenders, request, nowMs));
    return left && right && this.#cheaper(left, right, nowMs);
  }

  /** Two different contenders, or the only one twice. */
  #draw(from: readonly Contender[]): readonly [Contender | undefined, Contender | undefined] {
    const first = Math.floor(this.#random() * from.length);
    if (from.length < 2) return [from[0], from[0]];
    const step = 1 + Math.floor(this.#random() * (from.length - 1));
    return [from[first], from[(first + step) % from.length]];
  }

  #cheaper(one: Contender, other: Contender, nowMs: number): Contender {
    return this.#cost(one.load, nowMs) <= this.#cost(other.load, nowMs) ? one : other;
  }
}
