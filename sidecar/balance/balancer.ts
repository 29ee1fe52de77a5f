import type { EndpointGroup } from '../services/decision.ts';
import { AffinityBook, AffinityPicker } from './affinity.ts';
import { type Contender, type PickRequest, contendersOf } from './contender.ts';
import { type EndpointLoad, LoadBook } from './load.ts';
import type { Picker, Random } from './picker.ts';
import { connections, latencyAndConnections, PowerOfTwoPicker } from './power-of-two.ts';
import { RendezvousHashPicker } from './rendezvous-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';

export type Policy = 'least-latency' | 'round-robin' | 'least-request' | 'consistent-hash';

type Build = (contenders: readonly Contender[], random: Random, identity: string) => Picker;

const PICKERS: Readonly<Record<Policy, Build>> = {
  'least-latency': (contenders, random) => new PowerOfTwoPicker(contenders, random, latencyAndConnections),
  'round-robin': (contenders, random) => new RoundRobinPicker(contenders, random),
  'least-request': (contenders, random) => new PowerOfTwoPicker(contenders, random, connections),
  'consistent-hash': (contenders, _random, identity) => new RendezvousHashPicker(contenders, identity),
};

export interface BalancerOptions {
  readonly random: Random;
  /** Who this sidecar is, so that sidecars that hash the same client address choose different endpoints. */
  readonly identity?: string;
  /** Which policy is wanted for a port of a Service; session affinity comes before it. Default: least latency. */
  readonly policyOf?: (group: EndpointGroup) => Policy;
}

/** What outlives every picker of one Service port in one address family. */
interface Books {
  loads: LoadBook;
  readonly affinity: AffinityBook;
}

/** A picker holds on to its loads: it is of no more use once its Service's have been forgotten. */
interface Adopted {
  readonly picker: Picker;
  readonly loads: LoadBook;
  readonly books: Books;
}

/** Chooses endpoints for connections and keeps account of their load. */
export class Balancer {
  readonly #random: Random;
  readonly #identity: string;
  readonly #policyOf: (group: EndpointGroup) => Policy;
  readonly #adopted = new WeakMap<EndpointGroup, Adopted>();
  readonly #books = new Map<string, Map<string, Books>>();

  constructor({ random, identity = '', policyOf = () => 'least-latency' }: BalancerOptions) {
    this.#random = random;
    this.#identity = identity;
    this.#policyOf = policyOf;
  }

  /** Undefined once every candidate is excluded. */
  pick(group: EndpointGroup, request: PickRequest, nowMs: number): Contender | undefined {
    let adopted = this.#adopted.get(group);
    if (adopted?.loads !== adopted?.books.loads) adopted = undefined;
    return (adopted ?? this.#adopt(group)).picker.pick(request, nowMs);
  }

  /** The loads of one Service's endpoints; an endpoint that serves several ports comes once for each. */
  *loads(service: string): Iterable<EndpointLoad> {
    for (const { loads } of this.#books.get(service)?.values() ?? []) yield* loads.all();
  }

  /**
   * Drops what is remembered about a Service that has no connections. Which client had which endpoint stays for
   * as long as session affinity promises it: call again after that. True once nothing is remembered.
   */
  forget(service: string, nowMs: number): boolean {
    const ports = this.#books.get(service);
    if (ports === undefined) return true;
    for (const [key, books] of ports) {
      if (!books.loads.isEmpty) books.loads = new LoadBook();
      if (!books.affinity.isLive(nowMs)) ports.delete(key);
    }
    if (ports.size === 0) this.#books.delete(service);
    return ports.size === 0;
  }

  #adopt(group: EndpointGroup): Adopted {
    const books = this.#booksOf(group);
    books.loads.retain(group.candidates);
    const adopted = { picker: this.#build(group, books), loads: books.loads, books };
    this.#adopted.set(group, adopted);
    return adopted;
  }

  #build(group: EndpointGroup, books: Books): Picker {
    const { service, candidates } = group;
    const contenders = contendersOf(candidates, books.loads);
    if (service.affinityTimeoutMs === undefined)
      return PICKERS[this.#policyOf(group)](contenders, this.#random, this.#identity);
    const inner = new RendezvousHashPicker(contenders, this.#identity);
    return new AffinityPicker(inner, contenders, books.affinity, service.affinityTimeoutMs);
  }

  #booksOf({ service, port, candidates }: EndpointGroup): Books {
    let ports = this.#books.get(service.key);
    if (ports === undefined) this.#books.set(service.key, (ports = new Map()));
    // A group has one address family. With both in one book each would drop the loads of the other.
    const family = candidates[0]?.address.includes(':') ? 'ipv6' : 'ipv4';
    const key = `${port.port}/${port.protocol}/${family}`;
    let books = ports.get(key);
    if (books === undefined)
      ports.set(key, (books = { loads: new LoadBook(), affinity: new AffinityBook() }));
    return books;
  }
}
